// Sends one person's calls with a server client for Node.js, unchanged but for its host.
//
//   node node.mjs HOST WRITE_KEY RUN [segment|jitsu]
//
// Prints one JSON line that says what was sent. Exits 1 when any call was not delivered.

import { arguments3, person, report } from './person.mjs';

const DEADLINE_MS = 30_000;
const { host, writeKey, run } = arguments3();
const name = process.argv[5] ?? 'segment';
const client = { segment, jitsu }[name];
if (!client) {
  console.error(`unknown client ${name}: segment or jitsu`);
  process.exit(2);
}
const sent = person(run, name === 'segment' ? 'node' : `node-${name}`);
const { user_id: userId, anonymous_id: anonymousId, previous_id: previousId, group_id: groupId } = sent;
const errors = [];

// The clients retry for minutes when the host is away; a test wants to know sooner.
setTimeout(() => {
  errors.push(`not delivered within ${DEADLINE_MS} ms`);
  report(sent, {}, errors);
}, DEADLINE_MS).unref();
report(sent, await client(), errors);

async function segment() {
  const { Analytics } = await import('@segment/analytics-node');
  const analytics = new Analytics({ writeKey, host });
  let delivered = 0;
  analytics.on('error', ({ code, reason }) => errors.push(`${code}: ${reason}`));
  analytics.on('http_response', ({ status, body }) => {
    if (status === 200) delivered += JSON.parse(body).batch.length;
    else errors.push(`answered with status ${status}`);
  });
  // The first track is anonymous, the rest is the person's; the alias joins the two.
  for (const { event, properties, anonymous } of sent.tracks) {
    analytics.track({ event, properties, ...(anonymous ? { anonymousId } : { userId }) });
  }
  analytics.identify({ userId, traits: sent.traits });
  analytics.page({ userId, name: 'Home', category: 'Shop', properties: { path: '/' } });
  analytics.screen({ userId, name: 'Basket', properties: { items: 2 } });
  analytics.group({ userId, groupId, traits: sent.group_traits });
  analytics.alias({ userId, previousId });
  await analytics.closeAndFlush({ timeout: DEADLINE_MS - 5_000 });
  if (delivered !== 10) errors.push(`the server answered for ${delivered} calls, but 10 were made`);
  return { identify: 1, track: 5, page: 1, screen: 1, group: 1, alias: 1 };
}

async function jitsu() {
  const { jitsuAnalytics } = await import('@jitsu/js');
  // This client refuses a key without a secret; a write key has none, so anything may stand there.
  const errorPolicy = (error) => errors.push(error);
  const analytics = jitsuAnalytics({ host, writeKey: `${writeKey}:none`, s2s: true, errorPolicy });
  await analytics.identify(userId, sent.traits);
  for (const { event, properties } of sent.tracks) await analytics.track(event, properties);
  await analytics.page({ name: 'Home', url: 'https://shop.example.com/' });
  await analytics.group(groupId, sent.group_traits);
  // One anonymous id for the whole process, made by the client: see the guide before using it on a server.
  sent.anonymous_id = sent.previous_id = analytics.user().anonymousId;
  return { identify: 1, track: 5, page: 1, group: 1 };
}
