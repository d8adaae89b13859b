-- What expiry removed row by row and has no receipt yet. Each transaction that removes something leaves a note of how much, so that
-- nothing is removed that is not counted, wherever whoever removes it may die. Notes are only added, so that nobody waits for
-- another; those of a tenant, a rule and a day become one receipt, which takes their place.
set local role freehold_gate;

-- By this a statement says that it is one of expiry or of an erasure: freehold_app runs tenants' own SQL as well, which must not be able
-- to add to what is signed. Only servers get it.
create table if not exists freehold.removal_permit (
  tenant_id uuid primary key references freehold.tenant (id) on delete cascade,
  permit uuid not null default gen_random_uuid()
);

-- Not bound to freehold.tenant: what was removed of a tenant that is gone is receipted all the same.
create table if not exists freehold.rows_gone (
  id bigint generated always as identity primary key,
  tenant_id uuid not null,
  entity text not null,
  -- In words.
  rule text not null,
  rows bigint not null check (rows > 0),
  -- All that was removed was of this time or before, by the time that the rule counts from.
  cut_off timestamptz not null,
  at timestamptz not null default now()
);

do $$
declare
  walled text;
begin
  foreach walled in array array['removal_permit', 'rows_gone'] loop
    execute format('alter table freehold.%I enable row level security', walled);
    execute format('drop policy if exists wall on freehold.%I', walled);
    execute format('create policy wall on freehold.%I as restrictive for all to public
      using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())', walled);
  end loop;
end $$;

-- The permit of a tenant, made when it is asked for first.
create or replace function freehold.removal_permit(tenant uuid) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from freehold.removal_permit p where p.tenant_id = tenant) then
    insert into freehold.removal_permit (tenant_id) select t.id from freehold.tenant t where t.id = tenant on conflict do nothing;
  end if;
  return (select p.permit::text from freehold.removal_permit p where p.tenant_id = tenant);
end $$;

-- For a statement of expiry, in the transaction that removes: so many rows of the open tenant; how many it says again.
create or replace function freehold.rows_removed(permit uuid, entity text, rule text, cut_off timestamptz, rows bigint) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from freehold.removal_permit p where p.tenant_id = freehold.tenant() and p.permit = rows_removed.permit) then
    raise exception 'only expiry counts what it removes' using errcode = '42501';
  end if;
  if rows > 0 then
    insert into freehold.rows_gone (tenant_id, entity, rule, rows, cut_off)
      values (freehold.tenant(), rows_removed.entity, rows_removed.rule, rows_removed.rows, rows_removed.cut_off);
  end if;
  return rows;
end $$;

-- For a statement of an erasure, in the transaction that removes: so many rows of the open tenant; how many it says again.
create or replace function freehold.rows_erased(permit uuid, erasure uuid, entity text, how text, rows bigint) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from freehold.removal_permit p where p.tenant_id = freehold.tenant() and p.permit = rows_erased.permit) then
    raise exception 'only an erasure counts what it removes' using errcode = '42501';
  end if;
  if rows > 0 then
    insert into freehold.erasure_rows (tenant_id, erasure_id, entity, how, rows)
      select e.tenant_id, e.id, rows_erased.entity, rows_erased.how, rows_erased.rows from freehold.erasure e
      where e.id = rows_erased.erasure and e.tenant_id = freehold.tenant() and e.state = 'blocked';
  end if;
  return rows;
end $$;

-- What is to be receipted, and the notes of it: of days that are over, by UTC, or with `today` of this one as well.
create or replace function freehold.rows_unreceipted(today boolean, most bigint) returns table (notes text, tenant text, about text, rows bigint)
  language sql stable security definer
begin atomic
  select array_agg(g.id)::text, g.tenant_id::text, jsonb_build_object('entity', g.entity, 'rule', g.rule, 'rows', sum(g.rows),
      'first', to_json(min(g.at) at time zone 'UTC') #>> '{}' || 'Z', 'last', to_json(max(g.at) at time zone 'UTC') #>> '{}' || 'Z',
      'cut_off', to_json(max(g.cut_off) at time zone 'UTC') #>> '{}' || 'Z')::text, sum(g.rows)::bigint
    from freehold.rows_gone g where today or (g.at at time zone 'UTC')::date < (now() at time zone 'UTC')::date
    group by g.tenant_id, g.entity, g.rule, (g.at at time zone 'UTC')::date order by min(g.id) limit most;
end;

-- This is the receipt of these notes. False if another took its number, or one of them has a receipt by now.
create or replace function freehold.rows_receipted(notes bigint[], tenant uuid, number bigint, body text, hash text, signature text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- In this order always: who comes second waits for the first, and finds none.
  perform from freehold.rows_gone g where g.id = any (notes) order by g.id for update;
  if (select count(*) from freehold.rows_gone g where g.id = any (notes)) <> cardinality(notes) then
    return false;
  end if;
  insert into freehold.receipt (seq, tenant_id, body, hash, signature) values (number, tenant, rows_receipted.body,
    decode(rows_receipted.hash, 'hex'), rows_receipted.signature);
  delete from freehold.rows_gone g where g.id = any (notes);
  return true;
exception when unique_violation then
  return false;
end $$;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
    and proname in ('removal_permit', 'rows_removed', 'rows_erased', 'rows_unreceipted', 'rows_receipted')
  loop
    execute format('revoke all on routine %s from public', routine);
  end loop;
end $$;
grant execute on function freehold.rows_removed(uuid, text, text, timestamptz, bigint), freehold.rows_erased(uuid, uuid, text, text, bigint)
  to freehold_app;
grant execute on function freehold.removal_permit(uuid), freehold.rows_unreceipted(boolean, bigint),
  freehold.rows_receipted(bigint[], uuid, bigint, text, text, text) to freehold_control;

reset role;
