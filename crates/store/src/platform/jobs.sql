-- Work of the platform's own that is done later: enqueued in the transaction of whoever wants it done, and not before that
-- has committed is it there to be taken.
--
-- A job is taken until a deadline, and with a number of its own: the fence. Whoever still has the fence has the job; who was
-- too slow has lost it, and what it does in a transaction that asks freehold.job_fence first is never done beside another.
set local role freehold_gate;

create table if not exists freehold.job (
  id bigint generated always as identity primary key,
  kind text not null check (kind <> ''),
  tenant_id uuid references freehold.tenant (id) on delete cascade,
  -- Of one kind and key there is one job.
  key text,
  payload jsonb not null default '{}',
  run_after timestamptz not null default now(),
  -- Tries so far, and after how many that failed it is parked; null for one that is never given up.
  attempts integer not null default 0,
  most integer check (most > 0),
  error text,
  parked_at timestamptz,
  fence bigint not null default 0,
  held_until timestamptz,
  -- Whether it was asked for again while it was being done.
  again boolean not null default false,
  created_at timestamptz not null default now()
);
create unique index if not exists job_kind_key_idx on freehold.job (kind, key);
create index if not exists job_run_after_idx on freehold.job (run_after) where parked_at is null;
create index if not exists job_tenant_id_idx on freehold.job (tenant_id);

alter table freehold.job enable row level security;
drop policy if exists wall on freehold.job;
create policy wall on freehold.job as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());

-- Wants a job done, no earlier than after `wait`; says its number. One of this kind and key that waits is done at the earlier
-- time of both; one that is being done is done once more.
create or replace function freehold.enqueue(wanted text, tenant uuid, key text, payload jsonb, wait interval, most integer) returns bigint
  language sql volatile security definer
begin atomic
  insert into freehold.job as j (kind, tenant_id, key, payload, run_after, most)
    values (wanted, tenant, enqueue.key, coalesce(enqueue.payload, '{}'), now() + coalesce(wait, '0'), enqueue.most)
    on conflict (kind, key) do update set run_after = least(j.run_after, excluded.run_after), payload = excluded.payload,
      again = j.held_until is not null
    returning j.id;
end;

-- Takes the job of these kinds that has waited longest, until `lease` is over. One that was taken and not ended has failed.
create or replace function freehold.job_take(kinds text[], lease interval)
  returns table (id bigint, kind text, tenant text, key text, payload text, attempts bigint, fence bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  update freehold.job j set parked_at = clock_timestamp(), held_until = null, error = 'its worker ended before it'
    where j.parked_at is null and j.held_until < clock_timestamp() and j.attempts >= j.most
      and j.id in (select w.id from freehold.job w where w.held_until < clock_timestamp() and w.parked_at is null for update skip locked);
  return query
    update freehold.job j set attempts = j.attempts + 1, fence = j.fence + 1, held_until = clock_timestamp() + lease, again = false
      where j.id = (select w.id from freehold.job w where w.kind = any (kinds) and w.parked_at is null and w.run_after <= clock_timestamp()
          and (w.held_until is null or w.held_until < clock_timestamp())
        order by w.run_after limit 1 for update skip locked)
      returning j.id, j.kind, j.tenant_id::text, j.key, j.payload::text, j.attempts::bigint, j.fence;
end $$;

-- Keeps it for longer; says whether it is still held.
create or replace function freehold.job_hold(wanted bigint, held bigint, lease interval) returns boolean
  language sql volatile security definer
begin atomic
  with kept as (update freehold.job j set held_until = clock_timestamp() + lease
      where j.id = wanted and j.fence = held and j.held_until is not null returning 1)
    select exists (select from kept);
end;

-- For the transaction in which a job does its work: fails if it is held no more, and lets nobody take it before the end.
create or replace function freehold.job_fence(wanted bigint, held bigint) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from freehold.job j where j.id = wanted and j.fence = held and j.held_until is not null for key share;
  if not found then
    raise exception 'somebody else has the job' using errcode = '40001';
  end if;
end $$;

-- Ends it: it goes, or comes again after `every`, or at once if it was asked for meanwhile. Says whether it was still held.
create or replace function freehold.job_done(wanted bigint, held bigint, every interval) returns boolean
  language sql volatile security definer
begin atomic
  with again as (update freehold.job j set held_until = null, attempts = 0, error = null, again = false,
        run_after = clock_timestamp() + case when j.again then '0' else every end
      where j.id = wanted and j.fence = held and j.held_until is not null and (j.again or every is not null) returning 1),
  gone as (delete from freehold.job j where j.id = wanted and j.fence = held and j.held_until is not null
      and not j.again and every is null returning 1)
  select exists (select from again union all select from gone);
end;

-- It failed: it is tried again after longer and longer pauses, an hour at most, or parked.
create or replace function freehold.job_failed(wanted bigint, held bigint, error text) returns boolean
  language sql volatile security definer
begin atomic
  with failed as (update freehold.job j set held_until = null, error = left(job_failed.error, 2000),
      parked_at = case when j.attempts >= j.most then clock_timestamp() end,
      run_after = clock_timestamp() + interval '1 s' * least(3600, 2 ^ least(j.attempts - 1, 12))
    where j.id = wanted and j.fence = held and j.held_until is not null returning 1)
  select exists (select from failed);
end;

-- How jobs stand, kind by kind, and the error of the one that failed last.
create or replace function freehold.job_status()
  returns table (kind text, waiting bigint, running bigint, parked bigint, lag_ms bigint, oldest_parked_ms bigint, error text)
  language sql volatile security definer
begin atomic
  select j.kind, count(*) filter (where j.parked_at is null and not coalesce(j.held_until > clock_timestamp(), false)),
      count(*) filter (where j.held_until > clock_timestamp()), count(*) filter (where j.parked_at is not null),
      greatest((extract(epoch from clock_timestamp() - min(j.run_after) filter (where j.parked_at is null)) * 1000)::bigint, 0),
      (extract(epoch from clock_timestamp() - min(j.parked_at)) * 1000)::bigint,
      (array_agg(j.error order by j.run_after desc) filter (where j.error is not null))[1]
    from freehold.job j group by j.kind order by j.kind;
end;

-- Parked jobs are tried again now: of this kind, or of all.
create or replace function freehold.job_replay(wanted text) returns bigint
  language sql volatile security definer
begin atomic
  with again as (update freehold.job j set parked_at = null, attempts = 0, run_after = now()
      where j.parked_at is not null and (wanted is null or j.kind = wanted) returning 1)
    select count(*) from again;
end;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
    and (proname = 'enqueue' or proname like 'job\_%')
  loop
    execute format('revoke all on routine %s from public', routine);
  end loop;
end $$;
grant execute on function freehold.enqueue(text, uuid, text, jsonb, interval, integer) to freehold_owner;
grant execute on function freehold.enqueue(text, uuid, text, jsonb, interval, integer), freehold.job_take(text[], interval),
  freehold.job_hold(bigint, bigint, interval), freehold.job_fence(bigint, bigint), freehold.job_done(bigint, bigint, interval),
  freehold.job_failed(bigint, bigint, text), freehold.job_status(), freehold.job_replay(text) to freehold_control;

reset role;
