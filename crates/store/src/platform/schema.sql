-- Schemas, what PUBLIC loses, and the platform's own tables.
do $$
begin
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to freehold_app, freehold_anonymous, freehold_control, freehold_project', current_database());
end $$;
revoke all on schema public from public;

create schema if not exists freehold_ext;
create schema if not exists freehold authorization freehold_gate;
create schema if not exists app authorization freehold_owner;
create schema if not exists freehold_shelf authorization freehold_owner;
create extension if not exists vector schema freehold_ext;
revoke all on schema freehold, app, freehold_shelf from public;
-- pgvector's schema may be a superuser's, who then has granted its use to everybody.
do $$
begin
  if not has_schema_privilege('freehold_owner', 'freehold_ext', 'usage') or not has_schema_privilege('freehold_app', 'freehold_ext', 'usage')
    or not has_schema_privilege('freehold_project', 'freehold_ext', 'usage') or not has_schema_privilege('freehold_anonymous', 'freehold_ext', 'usage')
  then
    grant usage on schema freehold_ext to freehold_owner, freehold_app, freehold_anonymous, freehold_project;
  end if;
end $$;
grant usage on schema freehold to freehold_owner, freehold_app, freehold_anonymous, freehold_control, freehold_project, freehold_watch;
grant usage on schema app to freehold_app, freehold_anonymous, freehold_project;

alter default privileges for role freehold_owner revoke all on tables from public;
alter default privileges for role freehold_owner revoke execute on functions from public;
alter default privileges for role freehold_owner revoke usage on types from public;
alter default privileges for role freehold_gate revoke all on tables from public;
alter default privileges for role freehold_gate revoke execute on functions from public;
alter default privileges for role freehold_watch revoke execute on functions from public;

set local role freehold_gate;

create table if not exists freehold.platform_version (
  version integer primary key,
  mode text not null check (mode in ('seal', 'ticket')),
  locked boolean not null default false,
  installed_at timestamptz not null default now()
);

alter table freehold.platform_version add column if not exists locked boolean not null default false;

-- HMAC-SHA256 with the pads made beforehand: ipad is the key xor 0x36…, opad the key xor 0x5c…, 64 bytes each.
-- Key 0 never leaves the database and signs tickets.
create table if not exists freehold.mac_key (
  kid smallint primary key,
  ipad bytea not null check (octet_length(ipad) = 64),
  opad bytea not null check (octet_length(opad) = 64),
  created_at timestamptz not null default now()
);

create table if not exists freehold.tenant (
  id uuid primary key,
  name text not null unique check (name <> ''),
  state text not null default 'active' check (state in ('active', 'suspended', 'deleting')),
  created_at timestamptz not null default now()
);

create table if not exists freehold.api_key (
  hash bytea primary key check (octet_length(hash) = 32),
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  name text not null,
  prefix text not null unique,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
-- 1 reads, 2 reads and writes, 3 manages the tenant's keys, too.
alter table freehold.api_key add column if not exists role smallint not null default 2 check (role between 1 and 3);
-- Names the key in tokens.
alter table freehold.api_key add column if not exists id uuid not null unique default gen_random_uuid();
-- The relations it is for, such as `commit`, `person:read`, `rpc/match`; null for all. Servers hold it to them. An admin
-- could make itself another key, so it is never limited so.
alter table freehold.api_key add column if not exists scope text[] check (scope is null or cardinality(scope) between 1 and 100 and role < 3);
create index if not exists api_key_tenant_id_idx on freehold.api_key (tenant_id);

create table if not exists freehold.model_version (
  version bigint generated always as identity primary key,
  text text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  applied_by text not null default session_user
);

-- The one apply that is under way or was interrupted, if any.
create table if not exists freehold.apply_run (
  only_one boolean primary key default true check (only_one),
  base_version bigint not null,
  checksum text not null,
  text text not null,
  steps_done integer not null default 0,
  steps_total integer not null,
  started_at timestamptz not null default now(),
  touched_at timestamptz not null default now()
);

-- One row for each transaction that left a vector to be made. A key without the transaction would make writers wait
-- for one another, and would lose a note that is made while the worker takes the one before.
create table if not exists freehold.embedding_due (
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  entity text not null,
  field text not null,
  xact xid8 not null default pg_current_xact_id(),
  since timestamptz not null default now(),
  primary key (tenant_id, entity, field, xact)
);

-- What was changed in the schema, by whom: a server that sees a new row examines the wall again. Written by an event
-- trigger, so it stays empty where only a superuser could make one and none has.
create table if not exists freehold.ddl_log (
  n bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  who text not null default session_user,
  tag text not null,
  objects text
);
delete from freehold.ddl_log where at < now() - interval '90 days';

create table if not exists freehold.operator_log (
  at timestamptz not null default clock_timestamp(),
  who text not null default session_user,
  reason text not null
);

reset role;
