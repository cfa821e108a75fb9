// Imported before oidc-provider, which warns of everything that is not fit for production.
for (const level of ['info', 'warn']) {
  const say = console[level];
  console[level] = (text, ...rest) => String(text).startsWith('oidc-provider ') || say(text, ...rest);
}
