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

-- When workers move a tenant: from so many rows to a partition of its own, back below so many; and how many such
-- partitions an entity may have.
create table if not exists freehold.placement_policy (
  only_one boolean primary key default true check (only_one),
  promote_rows bigint not null default 20000 check (promote_rows > 0),
  demote_rows bigint not null default 8000 check (demote_rows >= 0 and demote_rows < promote_rows),
  own_max integer not null default 200 check (own_max >= 0)
);
insert into freehold.placement_policy default values on conflict do nothing;
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
