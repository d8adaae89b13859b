-- Where a tenant's rows of an entity are, if they are not simply on a shelf: in a partition of its own, or on the way
-- there. Partitions are named by `suffix`, which is random and says nothing about the tenant.
set local role freehold_gate;

create table if not exists freehold.placement (
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  entity text not null,
  -- shelf: among the others; moving: a copy is being made beside the shelf; own: in a partition of its own.
  state text not null default 'shelf' check (state in ('shelf', 'moving', 'own')),
  -- While moving, what was last done.
  step text,
  suffix text unique,
  -- own or shelf if somebody decided it; else the workers do.
  pinned text check (pinned in ('own', 'shelf')),
  rows bigint,
  bytes bigint,
  -- The approximate indexes of the partition, a line each: field, m, ef_construction.
  indexes text not null default '',
  since timestamptz not null default now(),
  counted_at timestamptz,
  primary key (tenant_id, entity),
  check ((suffix is not null) = (state <> 'shelf'))
);

-- Rows that changed while their tenant is being moved, for the mover to look at again. Written by triggers in the name of
-- freehold_owner, read by the operator alone.
create table if not exists freehold.move_queue (
  n bigint generated always as identity primary key,
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  entity text not null,
  id uuid not null
);
alter table freehold.move_queue enable row level security;
drop policy if exists wall on freehold.move_queue;
drop policy if exists move on freehold.move_queue;
create policy wall on freehold.move_queue as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy move on freehold.move_queue as permissive for insert to freehold_owner with check (true);
revoke all on freehold.move_queue from public;
grant insert (tenant_id, entity, id) on freehold.move_queue to freehold_owner;

-- When workers move a tenant to a partition of its own: where measuring all its rows takes longer than exact_ms; or, if
-- somebody wants it by rows, from promote_rows on, and back below demote_rows. And how many such partitions an entity may have.
create table if not exists freehold.placement_policy (
  only_one boolean primary key default true check (only_one),
  promote_rows bigint check (promote_rows > 0),
  demote_rows bigint check (demote_rows >= 0 and demote_rows < promote_rows),
  own_max integer not null default 200 check (own_max >= 0)
);
do $$
begin
  if not exists (select from pg_attribute where attrelid = 'freehold.placement_policy'::regclass and attname = 'exact_ms' and not attisdropped) then
    alter table freehold.placement_policy
      add column exact_ms double precision not null default 10 check (exact_ms > 0 and exact_ms < 'infinity'),
      -- Where what is said comes from.
      add column origin text not null default 'default' check (origin in ('default', 'measured', 'hand')),
      add column set_at timestamptz,
      alter column promote_rows drop not null, alter column promote_rows drop default,
      alter column demote_rows drop not null, alter column demote_rows drop default;
    -- Rows were the only way, and these the numbers that nobody had chosen.
    update freehold.placement_policy set promote_rows = null, demote_rows = null where promote_rows = 20000 and demote_rows = 8000;
    update freehold.placement_policy set origin = 'hand', set_at = now() where promote_rows is not null;
  end if;
end $$;
insert into freehold.placement_policy default values on conflict do nothing;

-- What measuring a row of an entity takes here, as workers timed it on rows of one tenant.
create table if not exists freehold.placement_cost (
  entity text primary key,
  -- The field and its type: of another it has to be measured anew.
  field text not null,
  row_ns double precision not null check (row_ns > 0),
  rows bigint not null,
  measured_at timestamptz not null default now()
);
revoke all on freehold.placement_cost from public;
revoke all on freehold.placement_policy from public;

-- What all servers keep in mind: who has a partition of its own. The change counter says when to look again.
create sequence if not exists freehold.placement_change;

create or replace function freehold.placements() returns table (tenant text, entity text, rows bigint, bytes bigint, indexes text)
  language sql stable security definer
begin atomic
  select p.tenant_id::text, p.entity, coalesce(p.rows, 0), coalesce(p.bytes, 0), p.indexes
    from freehold.placement p where p.state = 'own';
end;

create or replace function freehold.placement_pulse() returns bigint
  language sql stable security definer
begin atomic
  select s.last_value from freehold.placement_change s;
end;

revoke all on freehold.placement, freehold.placement_change from public;
revoke all on function freehold.placements(), freehold.placement_pulse() from public, freehold_app;
grant execute on function freehold.placements(), freehold.placement_pulse() to freehold_control;

reset role;
