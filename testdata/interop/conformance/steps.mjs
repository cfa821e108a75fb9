// What the host does in each scenario. What comes back has to be what the server sent; a step that
// throws fails the run, but where the scenario wants the client to refuse.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

async function listTools(s) {
  await s.connect();
  await s.tools();
}

async function addNumbers(s) {
  await s.connect();
  assert.ok((await s.tools()).some(({ name }) => name === 'add_numbers'));
  assert.match(await s.call('add_numbers', { a: 5, b: 3 }), /\b8\b/);
}

async function elicitationDefaults(s) {
  await s.connect({ elicitation: { form: { applyDefaults: true } } }, { action: 'accept', content: {} });
  await s.tools();
  assert.match(await s.call('test_client_elicitation_defaults'), /John Doe/);
}

async function sseRetry(s) {
  await s.connect();
  await s.tools();
  assert.match(await s.call('test_reconnection'), /Reconnection test completed/);
}

async function schemaEcho(s) {
  await s.connect();
  const tool = (await s.tools()).find(({ name }) => name === 'json_schema_2020_12_tool');
  await s.call('json_schema_echo', { schema: tool.inputSchema });
}

async function requestMetadata(s) {
  await s.connect({ roots: { listChanged: true }, sampling: {}, elicitation: {} }, { action: 'decline' });
  await s.tools();
}

async function standardHeaders(s) {
  await s.connect();
  for (const { name } of await s.tools()) await s.call(name);
  for (const { uri } of await s.resources()) await s.read(uri);
  for (const { name } of await s.prompts()) await s.prompt(name);
}

async function customHeaders(s, { toolCalls }) {
  await s.connect();
  await s.tools();
  for (const { name, arguments: args } of toolCalls) await s.call(name, args);
}

async function invalidToolHeaders(s) {
  await s.connect();
  // What should have been withheld is called all the same, for the server to see.
  for (const { name, inputSchema } of await s.tools()) {
    const args = Object.fromEntries((inputSchema.required ?? []).map((key) => [key, 'us-west1']));
    await s.call(name, args).catch((error) => console.error(`driver: ${name}: ${error.message}`));
  }
}

async function requestState(s) {
  await s.connect({ elicitation: { form: {} } }, { action: 'accept', content: { confirmed: true } });
  await s.tools();
  // The second is under way while the first waits for its answer.
  const [echo, unrelated] = await Promise.all([s.call('test_mrtr_echo_state'), s.call('test_mrtr_unrelated')]);
  assert.equal(echo, 'echo-state-ok');
  assert.equal(unrelated, 'unrelated-ok');
  assert.equal(await s.call('test_mrtr_no_state'), 'no-state-ok');
  // A client may refuse this result, but it may not ask again.
  await s.call('test_mrtr_no_result_type').catch((error) => console.error(`driver: no resultType: ${error.message}`));
}

async function listSkills(s) {
  await s.connect();
  const { skills } = await s.ask('skills/list');
  assert.equal(skills[0].frontmatter.name, 'pdf-processing');
  return skills[0];
}

/** Loads a skill as a host does that checks every file before it reads the next. */
async function loadSkill(s) {
  const skill = await listSkills(s);
  for (const { uri, digest, size } of skill.resources) {
    const [{ text }] = await s.read(uri);
    assert.equal(Buffer.byteLength(text), size, `the size of ${uri}`);
    assert.equal(`sha256:${createHash('sha256').update(text).digest('hex')}`, digest, `the digest of ${uri}`);
    if (uri === skill.uri) assert.deepEqual(frontmatterOf(text), skill.frontmatter);
  }
}

function frontmatterOf(text) {
  const [, block] = text.match(/^---\n(.*?)\n---\n/s);
  return Object.fromEntries(block.split('\n').map((line) => line.split(/:\s*(.*)/, 2)));
}

/** Every server that wants a sign-in has the same tool. */
async function protectedTool(s) {
  await s.connect();
  assert.ok((await s.tools()).some(({ name }) => name === 'test-tool'));
  assert.equal(await s.call('test-tool'), 'test');
}

const STEPS = {
  initialize: listTools,
  tools_call: addNumbers,
  'elicitation-sep1034-client-defaults': elicitationDefaults,
  'sse-retry': sseRetry,
  'json-schema-2020-12-preservation': schemaEcho,
  'json-schema-ref-no-deref': listTools,
  'request-metadata': requestMetadata,
  'http-standard-headers': standardHeaders,
  'http-custom-headers': customHeaders,
  'http-invalid-tool-headers': invalidToolHeaders,
  'sep-2322-client-request-state': requestState,
  'sep-2640-client-no-prefetch': listSkills,
  'sep-2640-client-verify-digest': loadSkill,
  'sep-2640-client-verify-size': loadSkill,
  'sep-2640-client-verify-frontmatter': loadSkill,
};

export function stepsOf(scenario) {
  const steps = STEPS[scenario] ?? (scenario.startsWith('auth/') ? protectedTool : undefined);
  assert.ok(steps, `nobody has said what a host does in ${scenario}`);
  return steps;
}
