// The shop's page: one step of one client, as the query says. Sets `done` when the page may be left.

import { person } from './person.mjs';

const query = new URLSearchParams(location.search);
const [client, step, host, writeKey, run] = ['client', 'step', 'host', 'writeKey', 'run'].map((name) => query.get(name));
const sent = person(run, client === 'segment' ? 'browser' : client);
const clients = { segment, rudderstack, jitsu };
globalThis.done = (await clients[client]()) ?? {};

/** Runs the client's own script, which leaves its name on the window. */
async function script() {
  const element = document.createElement('script');
  element.src = '/client.js';
  await new Promise((resolve, reject) => {
    element.onload = resolve;
    element.onerror = reject;
    document.head.append(element);
  });
}

async function segment() {
  await script();
  const { AnalyticsBrowser } = globalThis.AnalyticsNext;
  const { host: apiHost, protocol } = new URL(host);
  // The first page names both addresses, the others take the second from the server's settings.
  const options = {
    'one by one': { apiHost: `${apiHost}/v1`, protocol: protocol.replace(':', '') },
    // A queue that only leaving the page empties: the client then sends with `keepalive`.
    left: { deliveryStrategy: { strategy: 'batching', config: { size: 100, timeout: 600_000 } } },
    entered: {},
  };
  const [analytics] = await AnalyticsBrowser.load(
    { writeKey, cdnURL: host },
    { integrations: { 'Segment.io': options[step] } },
  );
  if (step === 'one by one') return everyCall(analytics, analytics.user().anonymousId());
  return leftOrEntered(analytics);
}

async function rudderstack() {
  await script();
  const analytics = new globalThis.rudderanalytics.RudderAnalytics();
  await new Promise((resolve) => {
    // With `useBeacon` the client keeps its calls until it has ten of them, or the page is left.
    analytics.load(writeKey, host, { configUrl: host, useBeacon: step === 'left', onLoaded: resolve });
  });
  if (step === 'one by one') return everyCall(analytics, analytics.getAnonymousId());
  return leftOrEntered(analytics);
}

async function jitsu() {
  const { jitsuAnalytics } = await import('/client.js');
  // This client refuses a key without a secret; a write key has none, so anything may stand there.
  const analytics = jitsuAnalytics({ host, writeKey: `${writeKey}:none` });
  const [first, ...rest] = sent.tracks;
  await analytics.page();
  await analytics.track(first.event, first.properties);
  await analytics.identify(sent.user_id, sent.traits);
  for (const { event, properties } of rest) await analytics.track(event, properties);
  await analytics.group(sent.group_id, sent.group_traits);
  const { anonymousId } = analytics.user();
  return { anonymous_id: anonymousId, previous_id: anonymousId };
}

async function leftOrEntered(analytics) {
  if (step === 'left') {
    for (let nth = 1; nth <= 3; nth += 1) await analytics.track('Page Left', { nth });
  } else {
    await analytics.page('Shop', 'Entered');
    await analytics.track('Page Entered');
  }
}

/** A page view and a track before anyone is known, then who it was and the rest; gives the anonymous id used. */
async function everyCall(analytics, anonymousId) {
  await analytics.page('Shop', 'Home');
  const [first, ...rest] = sent.tracks;
  await analytics.track(first.event, first.properties);
  await analytics.identify(sent.user_id, sent.traits);
  for (const { event, properties } of rest) await analytics.track(event, properties);
  await analytics.group(sent.group_id, sent.group_traits);
  await analytics.alias(sent.user_id, anonymousId);
  return { anonymous_id: anonymousId, previous_id: anonymousId };
}
