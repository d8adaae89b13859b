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
