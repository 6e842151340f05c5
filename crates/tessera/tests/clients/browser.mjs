// Drives a browser client in headless Chromium, unchanged but for its host, from a page of another origin.
//
//   node browser.mjs HOST WRITE_KEY RUN [segment|rudderstack|jitsu]
//
// CHROMIUM names the browser (default /usr/bin/chromium). Prints one JSON line that says what was sent.
// Exits 1 on any console error, page error, failed request, request to a foreign host, or answer that is
// not a success: a browser client hides all of these from the page.

import http from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { arguments3, person, report } from './person.mjs';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // A client that does not know its host falls back to its vendor's: that must fail here, and be seen.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
];
const SETTLE_MS_MAX = 30_000;

// Each client's script, and how many calls each page makes. The calls of an `unseen` page leave only while the
// next page loads; the browser then tells no driver about them, so whoever runs this asks the server for them.
const everyCall = { page: 1, identify: 1, track: 5, group: 1, alias: 1 };
const CLIENTS = {
  segment: {
    script: '@segment/analytics-next/dist/umd/index.js',
    steps: [
      { page: 'one by one', calls: everyCall },
      { page: 'left', calls: { track: 3 }, unseen: true },
      { page: 'entered', calls: { page: 1, track: 1 } },
    ],
  },
  rudderstack: {
    script: '@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js',
    steps: [
      { page: 'one by one', calls: everyCall },
      { page: 'left', calls: { track: 3 }, unseen: true },
      { page: 'entered', calls: { page: 1, track: 1 } },
    ],
  },
  jitsu: {
    script: '@jitsu/js/dist/jitsu.es.js',
    steps: [{ page: 'one by one', calls: { page: 1, identify: 1, track: 5, group: 1 } }],
  },
};

const { host, writeKey, run } = arguments3();
const name = process.argv[5] ?? 'segment';
const client = CLIENTS[name];
if (!client) {
  console.error(`unknown client ${name}: segment, rudderstack or jitsu`);
  process.exit(2);
}
const sent = person(run, name === 'segment' ? 'browser' : name);
const errors = [];
const answered = []; // {method, path, calls} of every request that was answered

const site = await serveSite();
const hostOrigin = new URL(host).origin;
const origin = `http://localhost:${site.address().port}`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
});
try {
  const tab = await browser.newPage();
  await watch(tab);
  let expected = 0;
  for (const step of client.steps) {
    await tab.goto(`${origin}/page.html?${new URLSearchParams({ client: name, step: step.page, host, writeKey, run })}`);
    if (!(await until(() => tab.evaluate(() => globalThis.done !== undefined)))) {
      errors.push(`the page '${step.page}' did not make its calls`);
      break;
    }
    Object.assign(sent, await tab.evaluate(() => globalThis.done));
    if (step.unseen) continue;
    expected += total(step.calls);
    if (!(await until(() => taken() >= expected))) {
      errors.push(`the server answered for ${taken()} calls, but ${expected} were made`);
      break;
    }
  }
} catch (error) {
  errors.push(String(error));
} finally {
  await browser.close();
  site.close();
}
const calls = {};
for (const { calls: made } of client.steps) {
  for (const [call, count] of Object.entries(made)) calls[call] = (calls[call] ?? 0) + count;
}
report({ ...sent, requests: answered }, calls, errors);

/** Serves `page.html` and the client's own script; nothing else, so that a stray request is seen. */
async function serveSite() {
  const here = (path) => fileURLToPath(new URL(path, import.meta.url));
  const files = new Map([
    ['/page.html', ['text/html; charset=utf-8', await readFile(here('page.html'))]],
    ['/page.mjs', ['text/javascript; charset=utf-8', await readFile(here('page.mjs'))]],
    ['/person.mjs', ['text/javascript; charset=utf-8', await readFile(here('person.mjs'))]],
    ['/client.js', ['text/javascript; charset=utf-8', await readFile(here(`node_modules/${client.script}`))]],
    ['/favicon.ico', ['image/x-icon', Buffer.alloc(0)]],
  ]);
  const server = http.createServer((request, response) => {
    const [type, body] = files.get(new URL(request.url, 'http://site').pathname) ?? [];
    if (body === undefined) {
      errors.push(`the page asked its own site for ${request.url}`);
      response.writeHead(404).end();
    } else {
      response.writeHead(200, { 'content-type': type }).end(body);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** Records what the tab sends and every way in which it can fail. */
async function watch(tab) {
  // No interception (`route`): the browser's own preflight would then be answered by the driver.
  tab.on('pageerror', (error) => errors.push(`page error: ${error.message}`));
  tab.on('console', (message) => {
    if (message.type() === 'error') errors.push(`console error: ${message.text()}`);
  });
  tab.on('request', (request) => {
    const { origin: to } = new URL(request.url());
    if (to !== origin && to !== hostOrigin) errors.push(`sent to a foreign host: ${request.method()} ${request.url()}`);
  });
  tab.on('requestfailed', (request) => {
    errors.push(`request failed: ${request.method()} ${request.url()}: ${request.failure()?.errorText}`);
  });
  tab.on('requestfinished', async (request) => {
    const url = new URL(request.url());
    if (url.origin !== hostOrigin) return;
    const status = (await request.response())?.status();
    if (status !== 200) errors.push(`answered with status ${status}: ${request.method()} ${url.pathname}`);
    answered.push({ method: request.method(), path: url.pathname, calls: callsOf(request) });
  });
}

/** How many calls one request carries. */
function callsOf(request) {
  if (request.method() !== 'POST') return 0;
  const body = request.postDataJSON?.() ?? {};
  return Array.isArray(body.batch) ? body.batch.length : body.type ? 1 : 0;
}

/** Whether `condition` came true in time; gives up at the first error, which no later answer mends. */
async function until(condition) {
  const deadline = Date.now() + SETTLE_MS_MAX;
  while (errors.length === 0 && Date.now() < deadline) {
    if (await condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

/** How many calls the server has answered for, as far as the browser tells. */
function taken() {
  return answered.reduce((sum, { calls }) => sum + calls, 0);
}

function total(calls) {
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}
