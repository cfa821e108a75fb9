// The user takes his time, and the host does not wait: it has an answer soon, a tool that waits, and the
// server's own tools as soon as the user has signed in, from the same process.
import { complaints } from '../bridges.mjs';
import { signIn } from '../person.mjs';

const GRACE_MS = 1_000;
const SLACK_MS = 1_000;
const TOOL = 'mcp_bridge_sign_in';

export const name = 'somebody who takes his time';

export async function run({ mcpServer, browser, bridges, check }) {
  const host = bridges.relay(mcpServer.url, bridges.newHome(), ['--initialize-grace', `${GRACE_MS / 1000}s`]);
  const began = Date.now();
  await host.connect();
  const took = Date.now() - began;
  check('initialize is answered when the grace is over', took >= GRACE_MS && took < GRACE_MS + SLACK_MS, `after ${took} ms`);
  const changed = host.toolsChanged();
  const tools = await host.toolNames();
  check('there is one tool, which waits', tools.join() === TOOL, tools.join());
  const waited = host.call(TOOL);
  await signIn(browser, waited); // she is still logged in there
  const [{ text }] = (await waited).content;
  check('the tool says when it is done', /signed in/i.test(text), text);
  await changed;
  check('the tools are the server\'s then', (await host.toolNames()).join() === 'whoami');
  const me = await host.whoAmI();
  check('a tool is called in the name of who signed in', me.account === 'grace', JSON.stringify(me));
  check('the bridge ends with its input', ...complaints(await host.end()));
}
