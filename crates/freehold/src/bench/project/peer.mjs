// The work of the read model `bill` done with graphile-worker: a trigger adds a job for each invoice that a statement
// touched, unless one is waiting, and the job recomputes the invoice. Reads commands from standard input, one JSON array a
// line, and answers each with a line: an array of numbers, or an object with an error.
import { createInterface } from "node:readline";
import { Logger, run, runMigrations } from "graphile-worker";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 16 });
const query = (text, values) => pool.query({ name: text.slice(0, 60), text, values });
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const logger = new Logger(() => () => {});
const shared = { connectionString: process.env.DATABASE_URL, logger };

const copied = ["product", "customer", "invoice", "line"].map((name) => `
  create table peer.${name} (like app.${name} including defaults);
  insert into peer.${name} select r.* from app.${name} r join freehold.tenant t on t.id = r.tenant_id where t.name = 'pair';
  alter table peer.${name} alter tenant_id drop default, add primary key (tenant_id, id);`).join("");

await runMigrations(shared);
await pool.query(`create schema peer; ${copied}
  create index on peer.line (tenant_id, invoice);
  create table peer.bill as select * from public.bill with no data;
  alter table peer.bill add primary key (tenant_id, invoice);
  -- One at a time for each invoice, or of two jobs the older could write last.
  create function peer.keep(of_tenant uuid, of_invoice uuid) returns void language plpgsql as $$
  begin
    perform pg_advisory_xact_lock(hashtextextended(of_invoice::text, 0));
    insert into peer.bill
      select l.tenant_id, i.id, c.name, i.status, count(*), sum(l.amount * p.price)
      from peer.line l join peer.invoice i on i.tenant_id = l.tenant_id and i.id = l.invoice
        join peer.customer c on c.tenant_id = i.tenant_id and c.id = i.customer
        join peer.product p on p.tenant_id = l.tenant_id and p.id = l.product
      where i.tenant_id = of_tenant and i.id = of_invoice
      group by l.tenant_id, i.id, c.name, i.status
    on conflict (tenant_id, invoice) do update set
      customer = excluded.customer, status = excluded.status, lines = excluded.lines, total = excluded.total;
  end $$;
  create function peer.note() returns trigger language plpgsql as $$
  begin
    perform graphile_worker.add_jobs(array_agg(row('bill', json_build_array(tenant_id, invoice), null, null, null,
        invoice::text, null, null)::graphile_worker.job_spec order by invoice))
      from (select distinct tenant_id, invoice from new_rows) n;
    return null;
  end $$;
  create trigger inserted after insert on peer.line referencing new table as new_rows for each statement execute function peer.note();
  create trigger updated after update on peer.line referencing new table as new_rows for each statement execute function peer.note()`);
await pool.query("vacuum analyze");
const pair = (await pool.query("select id from freehold.tenant where name = 'pair'")).rows[0].id;

const work = () => run({
  ...shared,
  concurrency: 4,
  noHandleSignals: true,
  taskList: { bill: ([tenant, invoice], { query }) => query({ name: "keep", text: "select peer.keep($1, $2)", values: [tenant, invoice] }) },
});
const addLines = (invoices) => query(`insert into peer.line (tenant_id, invoice, product, amount)
  select $1, md5('i' || n)::uuid, md5('p' || n % 10)::uuid, 1 from unnest($2::integer[]) n`, [pair, invoices]);

const commands = {
  // Changes that are followed in a second, once nobody writes: so many batches of 1,000 lines over 10,000 invoices.
  async follow(batches) {
    for (let batch = 0; batch < batches; batch++) {
      await addLines(Array.from({ length: 1000 }, (_, n) => (batch * 7919 + n * 104729) % 10000));
    }
    const begun = performance.now();
    const runner = await work();
    while ((await query("select exists (select from graphile_worker.jobs) as some")).rows[0].some) await pause(5);
    const took = performance.now() - begun;
    await runner.stop();
    return [(batches * 1000) / (took / 1000)];
  },
  // Milliseconds from commit to visible at so many writes a second of 4 clients, for so long.
  async fresh(rate, seconds) {
    const runner = await work();
    const end = performance.now() + seconds * 1000;
    const lags = [];
    let number = 0;
    const writer = async (client) => {
      const begun = performance.now();
      for (let done = 0; performance.now() < end; done++) {
        await pause(Math.max(0, begun + (done * 4000) / rate - performance.now()));
        await addLines([4 + client]);
      }
    };
    const probe = async (invoice) => {
      while (performance.now() < end) {
        const amount = ++number * 10000;
        await query(`update peer.line set amount = $3 where tenant_id = $1 and id = md5('l' || $2::text || '/0')::uuid`, [pair, invoice, amount]);
        const written = performance.now();
        const sees = async () => (await query("select total from peer.bill where tenant_id = $1 and invoice = md5('i' || $2::text)::uuid", [pair, invoice])).rows[0];
        while (Number((await sees())?.total ?? 0) < amount) await pause(Math.max(1, (performance.now() - written) / 20));
        lags.push(performance.now() - written);
        await pause(20);
      }
    };
    await Promise.all([0, 1, 2, 3].flatMap((n) => [writer(n), probe(n)]));
    await runner.stop();
    return lags;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...values] = JSON.parse(line);
  const answer = await commands[name](...values).catch((error) => ({ error: error.message }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await pool.end();
