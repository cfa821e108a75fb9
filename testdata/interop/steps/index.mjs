// What is done with each server, in this order. A step is
//   name       what is printed
//   run        async (session) => a value that must be the same on every way to the server
//   fails      the server answers with an error, which must be the same
//   valueOnly  the number or order of messages depends on time: only the value is compared
//   settle     async (session) => waits for what else the server sends because of it
// A step ends when all that it leads to has arrived, so that nothing falls into the next.
import { lifecycle } from './lifecycle.mjs';
import { tools } from './tools.mjs';
import { resources } from './resources.mjs';
import { prompts } from './prompts.mjs';
import { logging } from './logging.mjs';
import { calls } from './calls.mjs';
import { questions } from './questions.mjs';
import { tasks } from './tasks.mjs';
import { json, polling, stateless } from './examples.mjs';

const everything = [...lifecycle, ...tools, ...resources, ...prompts, ...logging, ...questions, ...calls, ...tasks];

/** By the server's name in lib/server.mjs. */
export const STEPS = { streamable: everything, sse: everything, json, stateless, polling };
