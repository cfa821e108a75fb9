// The only values that may differ between two runs, by name. Everything else is compared as it is.
const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

const RULES = [
  // The dynamic resources say when they were made.
  { name: 'clock', keys: ['text'], find: /(?<=created at )\d{1,2}:\d\d:\d\d(?:\s[AP]M)?/g },
  // The same, in base64.
  { name: 'clock', keys: ['blob'], decode: true, find: /(?<=created at )\d{1,2}:\d\d:\d\d(?:\s[AP]M)?/g },
  // Texts and log lines that name the session.
  { name: 'session', keys: ['text', 'data'], find: new RegExp(`(?<=\\b(?:session|SessionId) )${UUID}`, 'g'), numbered: true },
  // A task's id is random; a page of tasks ends with one.
  { name: 'task', keys: ['taskId', 'nextCursor', 'text'], find: /\b[0-9a-f]{32}\b/g, numbered: true },
  { name: 'time', keys: ['createdAt', 'lastUpdatedAt'], find: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/g },
  { name: 'elicitation', keys: ['elicitationId', 'text'], find: new RegExp(`(?:(?<=Elicitation ID: )|^)${UUID}`, 'g'), numbered: true },
];

/**
 * Returns a function that replaces what the rules name, all through a value. Where a rule is
 * numbered, equal values get equal numbers, over all calls of the function.
 */
export function newNormaliser() {
  const numbers = new Map();

  function placeholder(rule, found) {
    if (!rule.numbered) return `<${rule.name}>`;
    const key = `${rule.name} ${found}`;
    if (!numbers.has(key)) numbers.set(key, [...numbers.keys()].filter((k) => k.startsWith(`${rule.name} `)).length + 1);
    return `<${rule.name} ${numbers.get(key)}>`;
  }

  function text(key, value) {
    for (const rule of RULES) {
      if (!rule.keys.includes(key)) continue;
      const plain = rule.decode ? Buffer.from(value, 'base64').toString() : value;
      const put = plain.replace(rule.find, (found) => placeholder(rule, found));
      if (put !== plain) value = rule.decode ? `base64 of: ${put}` : put;
    }
    return value;
  }

  return function normalise(value, key = '') {
    if (typeof value === 'string') return text(key, value);
    if (Array.isArray(value)) return value.map((item) => normalise(item, key));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, normalise(member, name)]));
  };
}
