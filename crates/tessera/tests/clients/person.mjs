// What every driver sends: one person, told apart by RUN and by the client's name.

/** Reads `HOST WRITE_KEY RUN` from the command line. */
export function arguments3() {
  const [host, writeKey, run] = process.argv.slice(2);
  if (!host || !writeKey || !run) {
    console.error('usage: node <driver>.mjs HOST WRITE_KEY RUN, for example http://127.0.0.1:8080 wk_web r1');
    process.exit(2);
  }
  return { host: host.replace(/\/$/, ''), writeKey, run };
}

/** The person that the driver `client` sends in the run `run`; the same shape as `python_client.py`'s. */
export function person(run, client) {
  const id = `${run}-${client}`;
  return {
    client,
    user_id: id,
    anonymous_id: `${id}-anon`,
    previous_id: `${id}-anon`,
    group_id: `${run}-acme`,
    traits: { email: `${id}@example.com`.toLowerCase(), name: 'Ada Lovelace', plan: 'gold' },
    group_traits: { name: 'Acme', employees: 329 },
    tracks: [
      { event: 'Product Viewed', properties: { product_id: 'p1', price: 18.99 }, anonymous: true },
      { event: 'Product Added', properties: { product_id: 'p1', quantity: 2 } },
      { event: 'Checkout Started', properties: { value: 37.98, currency: 'EUR' } },
      {
        event: 'Order Completed',
        properties: {
          order_id: `${id}-o1`,
          total: 37.98,
          currency: 'EUR',
          products: [{ product_id: 'p1', quantity: 2, price: 18.99 }],
        },
      },
      { event: 'Größe gewählt', properties: { size: 'M', note: '“naïve” 😀', gift: false, coupon: null } },
    ],
  };
}

/** Prints the line that the test reads, tells errors in words, and ends the process: 0 if there were none. */
export function report(sent, calls, errors) {
  const events = Object.values(calls).reduce((sum, count) => sum + count, 0);
  for (const error of errors) console.error(error);
  console.log(JSON.stringify({ ...sent, calls, events, errors }));
  process.exit(errors.length === 0 ? 0 : 1);
}
