// What a person does on the pages of the authorization server, and sees in the end.

/**
 * Takes the next page that a bridge opens, signs in there if asked to, and agrees or refuses. `waiting`
 * is the promise that needs it: if it fails before, so does this. Returns how it ended, at the bridge's
 * callback: { status, headers, text, title, requests }, where requests are all that the callback page
 * made, its own first. picture is the file for a picture of that page.
 */
export async function signIn(browser, waiting, options) {
  const early = waiting.then(() => {
    throw new Error('answered without a sign-in');
  });
  early.catch(() => {}); // of interest until the page comes
  return visit(browser, await Promise.race([browser.nextPage(), early]), options);
}

async function visit(browser, url, { account = 'ada', agree = true, picture } = {}) {
  const callback = new URL(url).searchParams.get('redirect_uri');
  const page = await browser.context.newPage();
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(url);
  await logIn(page, account);
  const [response] = await Promise.all([
    page.waitForResponse((r) => r.url().startsWith(`${callback}?`)),
    answer(page, agree),
  ]);
  await page.waitForLoadState('networkidle');
  if (picture) await takePicture(page, picture);
  const seen = {
    status: response.status(),
    headers: await response.allHeaders(),
    title: await page.title(),
    text: await page.locator('body').innerText(),
    requests: requests.slice(requests.indexOf(response.url())),
  };
  await page.close();
  return seen;
}

/** A picture that fits into a README. */
async function takePicture(page, path) {
  await page.setViewportSize({ width: 640, height: 260 });
  await page.screenshot({ path });
}

/** Enters a code at the page for other devices and agrees; returns the text of the last page. */
export async function enterCode(browser, url, code, account = 'ada') {
  const page = await browser.context.newPage();
  await page.goto(url);
  await page.locator('input[name=user_code]').fill(code);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('heading', { name: 'Confirm Device' }).waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
  await logIn(page, account);
  await answer(page, true);
  await page.getByRole('heading', { name: 'Sign-in Success' }).waitFor();
  const text = await page.locator('body').innerText();
  await page.close();
  return text;
}

/** Fills in the login page, if that is where we are; ends at the consent page. */
async function logIn(page, account) {
  const consent = page.getByRole('heading', { name: 'Authorize' });
  const login = page.locator('input[name=login]');
  await consent.or(login).waitFor();
  if (await login.isVisible()) {
    await login.fill(account);
    await page.locator('input[name=password]').fill('any will do');
    await page.getByRole('button', { name: 'Sign-in' }).click();
    await consent.waitFor();
  }
}

function answer(page, agree) {
  return agree ? page.getByRole('button', { name: 'Continue' }).click() : page.getByRole('link', { name: 'Cancel' }).click();
}
