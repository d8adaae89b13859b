-- Which keystore outside PostgreSQL has this database's epoch keys, and under which of them tenants' keys are wrapped from
-- now on; 0 is one made of the root key alone, until there is a keystore. A restored backup says what was so when it was made.
set local role freehold_gate;

create table if not exists freehold.keystore (
  only_one boolean primary key default true check (only_one),
  id uuid not null default gen_random_uuid(),
  epoch integer not null default 0 check (epoch >= 0),
  -- Since when a key is gone that backups have under this epoch.
  spent_at timestamptz
);
insert into freehold.keystore default values on conflict do nothing;

reset role;
