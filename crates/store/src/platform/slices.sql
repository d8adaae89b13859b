-- What was destroyed with slices and has no receipt yet, and for how long slices are there.
set local role freehold_gate;

-- A note for each slice that was dropped, of the transaction that dropped it: the operator's connection has no key to sign with,
-- so whoever has one writes the receipt later. What rows it had, and whose, nobody has looked.
create table if not exists freehold.slice_gone (
  id bigint generated always as identity primary key,
  -- Goes into the receipt as it is.
  about jsonb not null,
  receipt bigint references freehold.receipt (seq)
);
create index if not exists slice_gone_idx on freehold.slice_gone (id) where receipt is null;

create or replace function freehold.slices_gone(most bigint) returns table (id bigint, about text)
  language sql stable security definer
begin atomic
  select g.id, g.about::text from freehold.slice_gone g where g.receipt is null order by g.id limit most;
end;

-- This is the receipt. False if another took its number, or the slice has one.
create or replace function freehold.slice_receipted(gone bigint, number bigint, body text, hash text, signature text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from freehold.slice_gone g where g.id = gone and g.receipt is null for update;
  if not found then
    return false;
  end if;
  insert into freehold.receipt (seq, tenant_id, body, hash, signature) values (number, '00000000-0000-0000-0000-000000000000', slice_receipted.body,
    decode(slice_receipted.hash, 'hex'), slice_receipted.signature);
  update freehold.slice_gone g set receipt = number where g.id = gone;
  return true;
exception when unique_violation then
  return false;
end $$;

-- For how many milliseconds from now on there is a slice, without a gap, for what comes; of each entity that is kept in slices.
create or replace function freehold.slices_ahead() returns table (entity text, ahead_ms bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with clock as (select (extract(epoch from now()) * 1000)::bigint as ms)
  select r.relname::text, coalesce((
      select upper(s) - clock.ms from unnest((
        select range_agg(int8range(('x' || b.m[1] || b.m[2])::bit(48)::bigint, ('x' || b.m[3] || b.m[4])::bit(48)::bigint))
          from pg_inherits i join pg_class c on c.oid = i.inhrelid,
            regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \(''([0-9a-f]{8})-([0-9a-f]{4})-.*TO \(''([0-9a-f]{8})-([0-9a-f]{4})-') b (m)
          where i.inhparent = r.oid and b.m is not null)) s where s @> clock.ms), 0)
    from clock, pg_class r join pg_partitioned_table p on p.partrelid = r.oid
    where r.relnamespace = to_regnamespace('app') and not r.relispartition and p.partstrat = 'r' order by r.relname
$$;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
    and proname in ('slices_gone', 'slice_receipted', 'slices_ahead')
  loop
    execute format('revoke all on routine %s from public', routine);
    execute format('grant execute on routine %s to freehold_control', routine);
  end loop;
end $$;

reset role;
