-- How far a file was loaded into an entity, so that an import that was interrupted goes on. Written in the
-- transaction of each batch, behind the same wall as the rows.
set local role freehold_gate;

create table if not exists freehold.import_mark (
  tenant_id uuid not null default freehold.tenant() references freehold.tenant (id) on delete cascade,
  entity text not null,
  source text not null,
  rows bigint not null check (rows > 0),
  digest bigint not null,
  touched_at timestamptz not null default now(),
  primary key (tenant_id, entity, source)
);
alter table freehold.import_mark enable row level security;
alter table freehold.import_mark force row level security;
drop policy if exists wall on freehold.import_mark;
drop policy if exists use on freehold.import_mark;
create policy wall on freehold.import_mark as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on freehold.import_mark as permissive for all to freehold_app using (true) with check (true);
grant select (tenant_id, entity, source, rows, digest), insert (entity, source, rows, digest), update (rows, digest, touched_at), delete
  on freehold.import_mark to freehold_app;

reset role;
