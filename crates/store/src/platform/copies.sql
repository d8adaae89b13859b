-- Copies of sealed vectors in which these are searched. Their partitions are unlogged, and so is all that is known of them
-- here: what empties the copies, a crash or a restore, forgets at the same moment that they were whole.
--
-- A copy is whole for a tenant if it is noted, and nothing is noted that it lacks. A note is made in the transaction of the
-- row that is left without its copy, and so is seen with it or not at all.
set local role freehold_gate;

create unlogged table if not exists freehold.copy_whole (
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  copy oid not null,
  since timestamptz not null default now(),
  primary key (tenant_id, copy)
);

-- One row for each transaction that left a row without its copy, and for whoever is filling it.
create unlogged table if not exists freehold.copy_note (
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  copy oid not null,
  xact xid8 not null default pg_current_xact_id(),
  since timestamptz not null default now(),
  -- Of who is filling it: so many vectors so far.
  done bigint,
  primary key (tenant_id, copy, xact)
);

do $$
declare
  walled text;
begin
  foreach walled in array array['copy_whole', 'copy_note'] loop
    execute format('alter table freehold.%I enable row level security', walled);
    execute format('drop policy if exists wall on freehold.%I', walled);
    execute format('create policy wall on freehold.%I as restrictive for all to public
      using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())', walled);
  end loop;
end $$;

-- The table of this name, if it is there; asked of the catalogue, because the gate has no business in the schema.
create or replace function freehold.copy_named(called text) returns oid
  language sql stable
begin atomic
  select c.oid from pg_class c where c.relnamespace = to_regnamespace('app') and c.relname = called and c.relkind = 'p';
end;

-- Whether the tenant's part of a copy is known to be whole.
create or replace function freehold.copy_is_whole(copy oid) returns boolean
  language sql stable security definer
begin atomic
  select exists (select from freehold.copy_whole w where w.tenant_id = freehold.tenant() and w.copy = copy_is_whole.copy)
    and not exists (select from freehold.copy_note n where n.tenant_id = freehold.tenant() and n.copy = copy_is_whole.copy);
end;

-- Says that a search would leave rows out.
create or replace function freehold.copy_refused(entity text, field text) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'the copy of %.% is not whole', entity, field using errcode = 'FH083';
end $$;

-- For the triggers of tables: the transaction leaves a row of the tenant without its copy.
create or replace function freehold.copy_lacks(copy oid) returns void
  language sql volatile security definer
begin atomic
  insert into freehold.copy_note (tenant_id, copy) values (freehold.tenant(), copy_lacks.copy) on conflict do nothing;
end;

-- Which tenants' parts of these copies are not known to be whole, those first that are known to lack something; how many vectors
-- whoever is filling them has copied so far, and whether they have said so within ten seconds.
create or replace function freehold.copies_due(copies text[]) returns table (id text, name text, copy text, done bigint, busy boolean)
  language sql stable security definer
begin atomic
  with named as materialized (select c.copy, freehold.copy_named(c.copy) as that from unnest(copies) c (copy)),
    noted as materialized (select n.tenant_id, n.copy, min(n.since) as since, max(n.done) as done,
        coalesce(bool_or(n.done is not null and n.since > clock_timestamp() - interval '10 s'), false) as busy
      from freehold.copy_note n group by n.tenant_id, n.copy)
  select t.id::text, t.name, c.copy, n.done, coalesce(n.busy, false)
    from named c cross join freehold.tenant t
      left join noted n on n.tenant_id = t.id and n.copy = c.that
      left join freehold.copy_whole w on w.tenant_id = t.id and w.copy = c.that
    where t.state = 'active' and c.that is not null and (n.copy is not null or w.copy is null)
    order by n.since, t.id limit 1000;
end;

-- Somebody fills a tenant's part of a copy: the notes that are there, theirs first.
create or replace function freehold.copy_begin(tenant uuid, copy text) returns table (xact text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  insert into freehold.copy_note (tenant_id, copy, done) select t.id, freehold.copy_named(copy_begin.copy), 0 from freehold.tenant t
    where t.id = tenant and t.state = 'active' and freehold.copy_named(copy_begin.copy) is not null;
  return query select n.xact::text from freehold.copy_note n
    where n.tenant_id = tenant and n.copy = freehold.copy_named(copy_begin.copy) order by n.xact = pg_current_xact_id() desc, n.xact;
end $$;

create or replace function freehold.copy_progress(tenant uuid, copy text, xact text, done bigint) returns void
  language sql volatile security definer
begin atomic
  update freehold.copy_note n set done = copy_progress.done, since = clock_timestamp()
    where n.tenant_id = tenant and n.copy = freehold.copy_named(copy_progress.copy) and n.xact = copy_progress.xact::xid8;
end;

-- They have filled it, and with it what these notes were made for. False if a crash has emptied it meanwhile, which took their
-- own note, too.
create or replace function freehold.copy_end(tenant uuid, copy text, xact text, notes text[]) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  that oid := freehold.copy_named(copy_end.copy);
begin
  delete from freehold.copy_note n where n.tenant_id = tenant and n.copy = that and n.xact = copy_end.xact::xid8;
  if not found then
    return false;
  end if;
  delete from freehold.copy_note n where n.tenant_id = tenant and n.copy = that and n.xact = any (notes::xid8[]);
  insert into freehold.copy_whole (tenant_id, copy) values (tenant, that) on conflict do nothing;
  return true;
end $$;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
      and proname like 'cop%' loop
    execute format('revoke all on routine %s from public', routine);
  end loop;
end $$;
grant execute on function freehold.copy_is_whole(oid), freehold.copy_lacks(oid), freehold.copy_refused(text, text) to freehold_app;
grant execute on function freehold.copies_due(text[]), freehold.copy_begin(uuid, text), freehold.copy_progress(uuid, text, text, bigint),
  freehold.copy_end(uuid, text, text, text[]) to freehold_control;

reset role;
