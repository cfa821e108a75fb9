// All steps for a server once, over one transport to a fresh one.
import { STEPS } from '../steps/index.mjs';
import { newNormaliser } from './normalise.mjs';
import { Session } from './session.mjs';

const STEP_LIMIT_MS = 12_000;

/**
 * Returns { session, outcomes }. outcomes maps a step's name to what can be compared with another
 * leg: what the step returned or threw, every answer, and by method every request and notification
 * from the server while it ran. Steps that begin after `deadline` (ms since the epoch) are left out.
 */
export async function runLeg(server, transport, deadline) {
  const session = new Session(server, transport);
  const normalise = newNormaliser();
  const outcomes = new Map();
  for (const step of STEPS[server]) {
    if (Date.now() > deadline) break;
    session.beginStep();
    const outcome = await attempt(step, session);
    if (!step.valueOnly) Object.assign(outcome, sent(session));
    outcomes.set(step.name, normalise(outcome));
    if (step.name === 'initialize' && outcome.error) break;
  }
  return { session, outcomes };
}

async function attempt(step, session) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished within ${STEP_LIMIT_MS} ms`)), STEP_LIMIT_MS);
  });
  try {
    return { value: await Promise.race([runToEnd(step, session), limit]) };
  } catch (error) {
    const { name, message, code, data } = error;
    return { error: { name, message, code, data } };
  } finally {
    clearTimeout(timer);
  }
}

async function runToEnd(step, session) {
  const value = await step.run(session);
  await step.settle?.(session);
  return value;
}

/** What the server sent in a step. Streams run side by side, so order is compared within a method only. */
function sent(session) {
  const answers = [];
  const messages = {};
  for (const { method, params, result, error } of session.recent) {
    if (!method) answers.push(error ? { error } : { result });
    else (messages[method] ??= []).push(params);
  }
  const sorted = Object.entries(messages).sort(([a], [b]) => a.localeCompare(b));
  return { answers, messages: Object.fromEntries(sorted) };
}
