-- The change log: what read models, caches and whoever follows the data need to know of every change, written in the
-- transaction of the change by triggers of the entities' tables.
--
-- Nobody can miss a row of it, because it is read by the difference of two snapshots: a reader keeps the snapshot it has
-- seen, and reads what that one does not see and its own does. A sequence or the oldest running transaction would either
-- lose what commits late or wait for whoever takes long.
--
-- It is a ring of four parts by the hour. A part that is behind is truncated once nobody needs its rows; until then its
-- hour comes again and it goes on filling. So no part has to be made in time, and no row is ever deleted by itself.
set local role freehold_gate;

-- Drawn while the row is locked that is changed, one at a time: of two changes of a row the later has the greater number.
create sequence if not exists freehold.change_seq cache 1;

create table if not exists freehold.change_log (
  tenant_id uuid not null,
  xid xid8 not null default pg_current_xact_id(),
  seq bigint not null default nextval('freehold.change_seq'),
  at timestamptz not null default clock_timestamp(),
  n integer not null,
  part smallint not null default (extract(hour from now() at time zone 'UTC')::integer % 4)::smallint,
  op "char" not null,
  entity text not null,
  fields text[] not null,
  -- The values of the first field in all rows, then those of the second, and so on.
  links text[]
) partition by list (part);
create table if not exists freehold.change_log_0 partition of freehold.change_log for values in (0) with (autovacuum_enabled = false);
create table if not exists freehold.change_log_1 partition of freehold.change_log for values in (1) with (autovacuum_enabled = false);
create table if not exists freehold.change_log_2 partition of freehold.change_log for values in (2) with (autovacuum_enabled = false);
create table if not exists freehold.change_log_3 partition of freehold.change_log for values in (3) with (autovacuum_enabled = false);
create index if not exists change_log_tenant_id_xid_idx on freehold.change_log (tenant_id, xid);
create index if not exists change_log_xid_idx on freehold.change_log (xid);

do $$
declare
  name regclass;
  quiet text := (select string_agg(format('alter column %I set statistics 0', attname), ', ') from pg_attribute
                 where attrelid = 'freehold.change_log'::regclass and attnum > 0);
begin
  for name in select relid from pg_partition_tree('freehold.change_log') loop
    execute format('alter table %s enable row level security', name);
    execute format('alter table %s %s', name, quiet);
    -- Compressing long lists costs more than anything else here, and the room is given back within hours.
    execute format('alter table %s alter column links set storage external', name);
  end loop;
end $$;

-- Read behind the wall; written by the triggers, which say the row's tenant even where none is open. Not forced: the
-- functions below belong to the owner.
drop policy if exists wall on freehold.change_log;
drop policy if exists capture on freehold.change_log;
create policy wall on freehold.change_log as restrictive for all to public using (tenant_id = freehold.tenant()) with check (true);
create policy capture on freehold.change_log as permissive for insert to freehold_owner with check (true);
grant insert (tenant_id, entity, op, fields, n, links) on freehold.change_log to freehold_owner;
grant usage on sequence freehold.change_seq to freehold_owner;

-- One row: the cluster whose transaction numbers the log has, and a snapshot that sees nothing anybody has still to read.
create table if not exists freehold.log_state (
  only_one boolean primary key default true check (only_one),
  cluster bigint not null,
  mark pg_snapshot not null
);

-- A read model as the workers know it.
create table if not exists freehold.projector (
  model text not null,
  version integer not null check (version > 0),
  sources text[] not null check (cardinality(sources) > 0),
  -- Whose rows these are: a worker with another definition leaves them alone.
  identity text not null,
  -- Whether its table is the one that is read; else it is being built beside it.
  served boolean not null default false,
  added_at timestamptz not null default now(),
  primary key (model, version)
);

-- How far a read model of a tenant is: it has seen what `snap` sees. A worker holds the row's lock while it works, which is
-- its lease, its fence and its checkpoint in one.
create table if not exists freehold.projection (
  tenant_id uuid not null references freehold.tenant (id) on delete cascade on update cascade,
  model text not null,
  version integer not null,
  snap pg_snapshot not null,
  -- Whether the table has rows for everything before `snap`; else the last unit that has.
  filled boolean not null default false,
  fill_after text[],
  -- The end of a window whose units are brought up to date in several transactions, and who may go on with it until when.
  upto pg_snapshot,
  held_until timestamptz,
  turn bigint not null default 0,
  changes bigint not null default 0,
  started_at timestamptz not null default now(),
  stepped_at timestamptz,
  primary key (tenant_id, model, version),
  foreign key (model, version) references freehold.projector (model, version) on delete cascade
) with (fillfactor = 50);
-- Units filled so far, and images followed lately: each minute that passes takes all but 1/e of them away.
alter table freehold.projection add column if not exists units bigint not null default 0;
alter table freehold.projection add column if not exists recent double precision not null default 0;
-- The units of a window under way, if whoever began it said them: with these a worker that finds it left goes on. All that
-- there were, one after the other, how many, and how many of them are left.
alter table freehold.projection add column if not exists todo text[];
alter table freehold.projection add column if not exists todo_of integer;
alter table freehold.projection add column if not exists todo_left integer;
-- Whether `snap` is the end of a window that was cut, and whether the one under way is: its units were looked for in a later
-- snapshot, so some rows are still to follow until everything up to that one is seen.
alter table freehold.projection add column if not exists cut boolean not null default false;
alter table freehold.projection add column if not exists upto_cut boolean not null default false;
create index if not exists projection_model_version_idx on freehold.projection (model, version);

-- Units that could not be brought up to date.
create table if not exists freehold.parked (
  tenant_id uuid not null,
  model text not null,
  version integer not null,
  digest bytea not null,
  unit text[] not null,
  sqlstate text not null,
  error text not null,
  attempts integer not null default 1,
  first_at timestamptz not null default now(),
  next_at timestamptz not null,
  primary key (tenant_id, model, version, digest),
  foreign key (tenant_id, model, version) references freehold.projection (tenant_id, model, version) on delete cascade on update cascade
);

do $$
declare
  name text;
begin
  foreach name in array array['projection', 'parked'] loop
    execute format('alter table freehold.%I enable row level security', name);
    execute format('drop policy if exists wall on freehold.%I', name);
    execute format('create policy wall on freehold.%I as restrictive for all to public using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())', name);
  end loop;
end $$;

create or replace function freehold.cluster() returns bigint
  language sql stable security definer
begin atomic
  select system_identifier from pg_control_system();
end;

insert into freehold.log_state (cluster, mark) values (freehold.cluster(), pg_current_snapshot()) on conflict do nothing;

-- What `seen` sees but for `unseen`, which it sees all.
create or replace function freehold.without(seen pg_snapshot, unseen xid8[]) returns pg_snapshot
  language sql stable
begin atomic
  select concat(coalesce(min(x), pg_snapshot_xmax(seen)), ':', pg_snapshot_xmax(seen), ':', string_agg(x::text, ',' order by x))::pg_snapshot
    from (select unnest(unseen) union select pg_snapshot_xip(seen)) u (x);
end;

-- What `seen` sees of transactions before `border`. A transaction may get its number long after its snapshot: those between
-- are not seen.
create or replace function freehold.before(seen pg_snapshot, border xid8) returns pg_snapshot
  language sql stable
begin atomic
  select concat(coalesce(min(x), edge), ':', edge, ':', string_agg(x::text, ',' order by x))::pg_snapshot
    from (select least(pg_snapshot_xmax(seen), border)) e (edge) left join pg_snapshot_xip(seen) u (x) on x < edge group by edge;
end;

-- With more images than this a window ends before some of the transactions that it could see, so that what was done is
-- committed in between.
create or replace function freehold.window_most() returns bigint
  language sql immutable
  return 200000;

-- Trigger: whom it emptied the table for, nobody can say any more; so it tells everybody who reads it. Argument: entity.
create or replace function freehold.capture_truncate() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into freehold.change_log (tenant_id, entity, op, fields, n)
    select distinct p.tenant_id, tg_argv[0], 't'::"char", '{}'::text[], 0
    from freehold.projection p join freehold.projector r using (model, version) where tg_argv[0] = any (r.sources);
  return null;
end $$;

-- Trigger on freehold.tenant: a new tenant has no rows, so its read models are right as they are.
create or replace function freehold.tenant_made() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into freehold.projection (tenant_id, model, version, snap, filled)
    select new.id, r.model, r.version, freehold.before(pg_current_snapshot(), pg_current_xact_id()), true from freehold.projector r;
  return null;
end $$;
create or replace trigger projections after insert on freehold.tenant for each row execute function freehold.tenant_made();

-- For apply: a read model that is to be built beside the one that is served, if one is; says its version. Asked again it
-- says the same, unless another was begun and left.
create or replace function freehold.projector_begin(model text, sources text[], identity text) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  found_version integer;
begin
  delete from freehold.projector p where p.model = projector_begin.model and not p.served and p.identity <> projector_begin.identity;
  select p.version into found_version from freehold.projector p where p.model = projector_begin.model and not p.served;
  if found_version is null then
    insert into freehold.projector (model, version, sources, identity)
      select projector_begin.model, coalesce(max(p.version), 0) + 1, projector_begin.sources, projector_begin.identity
        from freehold.projector p where p.model = projector_begin.model
      returning version into found_version;
  end if;
  return found_version;
end $$;

-- For apply, in the transaction in which the table takes its name: the one that was built is served from now on. Waits for
-- steps on the one before, and lets none begin.
create or replace function freehold.projector_serve(model text) returns void
  language sql volatile security definer
begin atomic
  delete from freehold.projector p where p.model = projector_serve.model and p.served
    and exists (select from freehold.projector n where n.model = projector_serve.model and not n.served);
  update freehold.projector p set served = true where p.model = projector_serve.model;
end;

-- For apply: one that is no longer kept.
create or replace function freehold.projector_retire(model text) returns void
  language sql volatile security definer
begin atomic
  delete from freehold.projector p where p.model = projector_retire.model;
end;

-- For whoever gives up building one.
create or replace function freehold.projector_abandon(model text) returns void
  language sql volatile security definer
begin atomic
  delete from freehold.projector p where p.model = projector_abandon.model and not p.served;
end;

-- For apply, which holds the table's lock: what is still to be read of an entity goes on under its new name, and the names
-- of its fields.
create or replace function freehold.renamed(entity text, entity_to text, fields text[], fields_to text[]) returns void
  language sql volatile security definer
begin atomic
  update freehold.change_log l set entity = entity_to,
      fields = array(select coalesce(fields_to[array_position(renamed.fields, f)], f) from unnest(l.fields) with ordinality u (f, i) order by i)
    where l.entity = renamed.entity;
  update freehold.projector r set sources = array_replace(r.sources, entity, entity_to) where entity = any (r.sources);
end;

reset role;
