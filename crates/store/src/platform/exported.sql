-- What left the house about one person: when, for whom, how much. Not whose it was, but for the code that receipts have, which can
-- be made again only with the root key and the person's id; so an erasure has nothing to do here.
set local role freehold_gate;

create table if not exists freehold.exported (
  id uuid primary key,
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  entity text not null,
  person text not null,
  -- Public keys it is encrypted to; none if it is in the open.
  recipients text[] not null default '{}',
  begun_at timestamptz not null default now(),
  -- When all of it was there: until then, and for ever where it was interrupted, it may be a part.
  ended_at timestamptz,
  rows bigint,
  files bigint,
  -- Of the manifest, which has those of all parts, in hexadecimal digits.
  sha256 text
);
create index if not exists exported_begun_idx on freehold.exported (begun_at);
alter table freehold.exported enable row level security;
drop policy if exists wall on freehold.exported;
create policy wall on freehold.exported as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());

create or replace function freehold.export_begin(wanted uuid, tenant uuid, of_entity text, person text, recipients text[]) returns text
  language sql volatile security definer
begin atomic
  insert into freehold.exported (id, tenant_id, entity, person, recipients)
    select wanted, t.id, of_entity, export_begin.person, export_begin.recipients from freehold.tenant t where t.id = tenant
    returning to_json(begun_at at time zone 'UTC') #>> '{}' || 'Z';
end;

create or replace function freehold.export_end(wanted uuid, rows bigint, files bigint, sha256 text) returns void
  language sql volatile security definer
begin atomic
  update freehold.exported e set ended_at = now(), rows = export_end.rows, files = export_end.files, sha256 = export_end.sha256 where e.id = wanted;
end;

-- Those of the last so many days, the newest first.
create or replace function freehold.exports_since(days integer, most bigint)
  returns table (tenant text, entity text, person text, recipients text, begun_at text, ended_at text, rows bigint, files bigint, sha256 text)
  language sql stable security definer
begin atomic
  select t.name, e.entity, e.person, array_to_string(e.recipients, ' '), to_json(e.begun_at at time zone 'UTC') #>> '{}' || 'Z',
      to_json(e.ended_at at time zone 'UTC') #>> '{}' || 'Z', e.rows, e.files, e.sha256
    from freehold.exported e join freehold.tenant t on t.id = e.tenant_id
    where e.begun_at > now() - make_interval(days => days) order by e.begun_at desc, e.id limit most;
end;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
    and proname in ('export_begin', 'export_end', 'exports_since')
  loop
    execute format('revoke all on routine %s from public', routine);
    execute format('grant execute on routine %s to freehold_control', routine);
  end loop;
end $$;

reset role;
