-- What the workers call: for the tenant that is open as freehold_project, for all tenants as freehold_control.
set local role freehold_gate;

-- Takes the projection of the open tenant for this transaction, which must be one of REPEATABLE READ: then everything it
-- sees is one snapshot, and whoever was overtaken fails. `resumed` is the turn of a worker that goes on with a window.
-- States: `missing`, `taken`, `fill` (go on after `place`), `steady`, `window` (whoever began it left the units in `place`);
-- `changes` are the images there are to be read; `parked` is whether any units are. `since` is for freehold.changes: the
-- snapshot, and behind it the transaction before which the window ends, if it is cut. Whoever goes on with a window is not
-- told how many images there are, which would be counted for each of its transactions.
drop function if exists freehold.step(text, integer, bigint);
create or replace function freehold.step(wanted text, wanted_version integer, resumed bigint)
  returns table (state text, turn bigint, since text, changes bigint, place text[], sources text[], parked boolean)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  mine uuid := freehold.tenant();
  p freehold.projection;
  emptied boolean := false;
  border xid8;
begin
  changes := 0;
  if current_setting('transaction_isolation') <> 'repeatable read' then
    raise exception 'a step needs one snapshot' using errcode = '25001';
  end if;
  select * into p from freehold.projection x where x.tenant_id = mine and x.model = wanted and x.version = wanted_version
    for no key update skip locked;
  if not found then
    return query select case when exists (select from freehold.projection x where x.tenant_id = mine and x.model = wanted
        and x.version = wanted_version) then 'taken' else 'missing' end, null::bigint, null::text, null::bigint, null::text[], null::text[], false;
    return;
  end if;
  if resumed is not null and p.turn <> resumed or resumed is null and p.held_until > clock_timestamp()
    or (select s.cluster from freehold.log_state s) <> freehold.cluster()
  then
    return query select 'taken', null::bigint, null::text, null::bigint, null::text[], null::text[], false;
    return;
  end if;
  -- Locked, so that the table keeps its name until this step has ended.
  select r.sources into sources from freehold.projector r where r.model = wanted and r.version = wanted_version for key share;
  if not found then
    return query select 'taken', null::bigint, null::text, null::bigint, null::text[], null::text[], false;
    return;
  end if;
  if resumed is null then
    select coalesce(sum(l.n), 0), coalesce(bool_or(l.op = 't'), false) into changes, emptied
      from (select * from freehold.change_log a where a.tenant_id = mine and a.xid >= pg_snapshot_xmax(p.snap)
            union all
            select * from freehold.change_log b where b.tenant_id = mine and b.xid = any (array(select pg_snapshot_xip(p.snap)))) l
      where l.entity = any (sources);
  end if;
  if emptied then
    p.snap := pg_current_snapshot();
    p.filled := false;
    p.fill_after := null;
    p.upto := null;
    changes := 0;
    update freehold.projection x set snap = p.snap, filled = false, fill_after = null, upto = null, todo = null, cut = false, upto_cut = false
      where x.tenant_id = mine and x.model = wanted and x.version = wanted_version;
  end if;
  parked := exists (select from freehold.parked k where k.tenant_id = mine and k.model = wanted and k.version = wanted_version);
  if p.filled and resumed is null and p.upto is not null and p.todo is not null then
    return query select 'window', p.turn, p.snap::text, changes,
      p.todo[cardinality(p.todo) - cardinality(p.todo) / p.todo_of * p.todo_left + 1 :], sources, parked;
    return;
  end if;
  if p.filled and resumed is null then
    if changes > freehold.window_most() then
      select c.border, c.changes into border, changes from freehold.window_cut(p.snap, sources) c;
    end if;
    if border is not null or p.upto is not null or p.upto_cut then
      update freehold.projection x set upto = case when border is not null then freehold.before(pg_current_snapshot(), border) end, upto_cut = border is not null
        where x.tenant_id = mine and x.model = wanted and x.version = wanted_version;
    end if;
  end if;
  return query select case when p.filled then 'steady' else 'fill' end, p.turn, concat_ws(' ', p.snap, border), changes, p.fill_after, sources, parked;
end $$;

-- Where a window of the open tenant that begins with `since` is cut: before transaction `border`, with so many images. It is
-- beyond all that `since` sees, and holds what is committed late of before. No border: all of it, as where one transaction did it.
create or replace function freehold.window_cut(since pg_snapshot, sources text[]) returns table (border xid8, changes bigint)
  language sql stable security definer
begin atomic
  with each as materialized (
    select l.xid, sum(l.n)::bigint as n
      from (select xid, entity, n from freehold.change_log a where a.tenant_id = freehold.tenant() and a.xid >= pg_snapshot_xmax(since)
            union all
            select xid, entity, n from freehold.change_log b where b.tenant_id = freehold.tenant()
              and b.xid = any (array(select pg_snapshot_xip(since)))) l
      where l.entity = any (sources) group by l.xid),
  told as (select e.xid, sum(e.n) over (order by e.xid) as total from each e),
  ends as (
    select greatest(t.xid, pg_snapshot_xmax(since)) as border from told t where t.total > freehold.window_most()
      -- A transaction is not divided.
      and t.xid > (select min(e.xid) from each e) order by t.xid limit 1)
  select e.border, coalesce((select sum(a.n) from each a where e.border is null or a.xid < e.border), 0)::bigint
    from (values (true)) once left join ends e on true;
end;

-- The projection of the open tenant, from this snapshot on; it is to be filled next. Says whether there is such a definition.
-- While it is not committed nobody moves the mark of the log past that snapshot; if somebody has, this fails and is tried
-- again.
drop function if exists freehold.projection_start(text, integer);
create or replace function freehold.projection_start(model text, version integer) returns boolean
  language sql volatile security definer
begin atomic
  insert into freehold.projection (tenant_id, model, version, snap)
    select freehold.tenant(), r.model, r.version, freehold.before(pg_current_snapshot(), pg_current_xact_id())
      from (select from freehold.log_state for share) held, freehold.projector r
      where r.model = projection_start.model and r.version = projection_start.version
    on conflict do nothing;
  select exists (select from freehold.projector r where r.model = projection_start.model and r.version = projection_start.version);
end;

-- Changes of the open tenant that `since` does not see, in the order in which they depend on one another: after number
-- `behind`, and no more than `most` images but for the last row's. Of a window that is cut only those of before the border.
create or replace function freehold.changes(since text, entities text[], behind bigint, most bigint)
  returns table (seq bigint, entity text, op text, n bigint, fields text[], links text[])
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  mine uuid := freehold.tenant();
  seen pg_snapshot := split_part(since, ' ', 1)::pg_snapshot;
  border xid8 := nullif(split_part(since, ' ', 2), '')::xid8;
begin
  return query
    select w.seq, w.entity, w.op::text, w.n::bigint, w.fields, w.links from (
      select s.*, sum(s.n) over (order by s.seq rows unbounded preceding) - s.n as before from (
        select l.* from (select * from freehold.change_log a where a.tenant_id = mine and a.xid >= pg_snapshot_xmax(seen)
              union all
              select * from freehold.change_log b where b.tenant_id = mine and b.xid = any (array(select pg_snapshot_xip(seen)))) l
          where l.entity = any (entities) and l.seq > behind and l.op <> 't' and (border is null or l.xid < border)
          -- A row has an image at least. So no more than these are kept while all are looked through.
          order by l.seq limit most) s) w
    where w.before < most order by w.seq;
end $$;

-- What is left of a number that fades since then.
create or replace function freehold.faded(recent double precision, since timestamptz) returns double precision
  language sql stable
  return recent * exp(-least(extract(epoch from clock_timestamp() - since)::double precision / 60, 100));

-- Ends a step: everything up to its snapshot is seen, or up to the window's that it went on with.
create or replace function freehold.step_done(wanted text, wanted_version integer, resumed boolean, images bigint) returns void
  language sql volatile security definer
begin atomic
  update freehold.projection p set snap = case when resumed then p.upto else coalesce(p.upto, pg_current_snapshot()) end, upto = null,
      cut = p.upto_cut, upto_cut = false, todo = null, held_until = null, turn = p.turn + 1, changes = p.changes + images,
      recent = freehold.faded(p.recent, coalesce(p.stepped_at, p.started_at)) + images, stepped_at = clock_timestamp()
    where p.tenant_id = freehold.tenant() and p.model = wanted and p.version = wanted_version;
end;

-- Ends a transaction in the middle of a window: the same worker may go on with it before all others until `hold` is over. Who
-- begins it may say the units that are left, `todo`, one after the other; later how many of them are left is enough.
drop function if exists freehold.step_pause(text, integer, boolean, interval);
create or replace function freehold.step_pause(wanted text, wanted_version integer, resumed boolean, hold interval, todo text[], todo_left integer, images bigint)
  returns bigint
  language sql volatile security definer
begin atomic
  update freehold.projection p set upto = case when resumed then p.upto else coalesce(p.upto, pg_current_snapshot()) end,
      todo = case when resumed then p.todo else step_pause.todo end, todo_of = case when resumed then p.todo_of else step_pause.todo_left end,
      todo_left = step_pause.todo_left, changes = p.changes + images,
      recent = freehold.faded(p.recent, coalesce(p.stepped_at, p.started_at)) + images,
      held_until = clock_timestamp() + hold, turn = p.turn + 1, stepped_at = clock_timestamp()
    where p.tenant_id = freehold.tenant() and p.model = wanted and p.version = wanted_version returning p.turn;
end;

-- Notes how far a fill is, and that it has done so many units more; `whole` ends it.
drop function if exists freehold.step_filled(text, integer, text[], boolean);
create or replace function freehold.step_filled(wanted text, wanted_version integer, place text[], whole boolean, units bigint) returns void
  language sql volatile security definer
begin atomic
  update freehold.projection p set fill_after = case when whole then null else place end, filled = whole, held_until = null,
      units = step_filled.units + case when p.fill_after is null then 0 else p.units end, turn = p.turn + 1, stepped_at = clock_timestamp()
    where p.tenant_id = freehold.tenant() and p.model = wanted and p.version = wanted_version;
end;

-- Parks a unit; each time it fails again it waits longer, an hour at most.
create or replace function freehold.park(wanted text, wanted_version integer, unit text[], sqlstate text, error text) returns void
  language sql volatile security definer
begin atomic
  insert into freehold.parked as k (tenant_id, model, version, digest, unit, sqlstate, error, next_at)
    values (freehold.tenant(), wanted, wanted_version, sha256(convert_to(unit::text, 'UTF8')), unit, sqlstate, left(error, 2000), now() + interval '1 s')
    on conflict (tenant_id, model, version, digest) do update set sqlstate = excluded.sqlstate, error = excluded.error,
      attempts = k.attempts + 1, next_at = now() + interval '1 s' * least(3600, 2 ^ least(k.attempts, 12));
end;

create or replace function freehold.unpark(wanted text, wanted_version integer, unit text[]) returns void
  language sql volatile security definer
begin atomic
  delete from freehold.parked k where k.tenant_id = freehold.tenant() and k.model = wanted and k.version = wanted_version
    and k.digest = sha256(convert_to(unpark.unit::text, 'UTF8'));
end;

-- Parked units of the open tenant, and whether their time has come.
drop function if exists freehold.parked_due(text, integer, bigint);
create or replace function freehold.parked_due(wanted text, wanted_version integer, most bigint) returns table (unit text[], due boolean)
  language sql stable security definer
begin atomic
  select k.unit, k.next_at <= now() from freehold.parked k where k.tenant_id = freehold.tenant() and k.model = wanted and k.version = wanted_version
    order by k.next_at limit most;
end;

-- All parked units, for whoever looks after them.
create or replace function freehold.parked_units(most bigint)
  returns table (name text, model text, version bigint, unit text[], sqlstate text, error text, attempts bigint, first_at text, next_at text)
  language sql stable security definer
begin atomic
  select t.name, k.model, k.version::bigint, k.unit, k.sqlstate, k.error, k.attempts::bigint,
      to_char(k.first_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), to_char(k.next_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    from freehold.parked k join freehold.tenant t on t.id = k.tenant_id order by k.first_at limit most;
end;

-- Parked units are tried again now: of this model, or of all.
create or replace function freehold.replay(wanted text) returns bigint
  language sql volatile security definer
begin atomic
  with again as (update freehold.parked k set next_at = now() where wanted is null or k.model = wanted returning 1)
    select count(*) from again;
end;

-- Changes that projections have still to see, among those that `since` does not see: one row for each projection and
-- transaction. Suspended tenants cannot be worked in, so theirs are not told unless `everybody`.
create or replace function freehold.unseen(since pg_snapshot, everybody boolean)
  returns table (tenant uuid, model text, version integer, known boolean, xid xid8, at timestamptz, n bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set max_parallel_workers_per_gather = 0 as $$
  select l.tenant_id, r.model, r.version, p.tenant_id is not null, l.xid, min(l.at), sum(l.n)
    from (select tenant_id, entity, xid, at, n from freehold.change_log a where a.xid >= pg_snapshot_xmax(since)
          union all
          select tenant_id, entity, xid, at, n from freehold.change_log b where b.xid = any (array(select pg_snapshot_xip(since)))) l
      join freehold.projector r on l.entity = any (r.sources)
      join freehold.tenant t on t.id = l.tenant_id and (t.state = 'active' or everybody and t.state <> 'deleting')
      left join freehold.projection p on p.tenant_id = l.tenant_id and p.model = r.model and p.version = r.version
    where p.snap is null or not pg_visible_in_snapshot(l.xid, p.snap)
    group by l.tenant_id, r.model, r.version, p.tenant_id, l.xid
$$;

-- What there is to do for what is read: projections with unseen changes, the oldest first, each once however much it is. Without `since`
-- also those to be started or filled, and those with parked units whose time has come: everything; so, too, where others are
-- served than when `since` was given, because what was done for whoever built them was not told. `seen` is the `since` of
-- the next call. What is being built is for whoever builds it.
create or replace function freehold.projection_due(since text, most bigint)
  returns table (id text, name text, model text, version bigint, changes bigint, seen text, served boolean, identity text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  s freehold.log_state;
  served_now text := (select sha256(convert_to(string_agg(r.model || ' ' || r.version, ',' order by r.model), 'UTF8'))::text
    from freehold.projector r where r.served);
  look pg_snapshot := case when split_part(since, ' ', 2) = coalesce(served_now, '') then split_part(since, ' ', 1)::pg_snapshot end;
  everything boolean := look is null;
  behind xid8[];
  whole pg_snapshot;
  marking boolean;
begin
  if look is null then
    select * into s from freehold.log_state;
    if s.cluster <> freehold.cluster() then
      perform freehold.forget_cluster();
      select * into s from freehold.log_state;
    end if;
    look := s.mark;
    -- Before one looks for who is behind: a projection that is just started cannot be seen. Who does not get it leaves the
    -- mark where it is.
    perform from freehold.log_state for no key update skip locked;
    marking := found;
    select array_agg(distinct u.xid), pg_current_snapshot() into behind, whole from freehold.unseen(look, true) u where u.known;
    if marking and coalesce(cardinality(behind), 0) <= 1000 then
      update freehold.log_state set mark = freehold.without(whole, behind);
    end if;
  end if;
  return query
    with todo as (
      select u.tenant, u.model, u.version, min(u.at) as at, sum(u.n)::bigint as n from freehold.unseen(look, false) u group by 1, 2, 3
      union all
      select t.id, r.model, r.version, coalesce(p.started_at, r.added_at), 0
        from freehold.projector r cross join freehold.tenant t
          left join freehold.projection p on p.tenant_id = t.id and p.model = r.model and p.version = r.version
        where everything and t.state = 'active' and p.filled is not true
      union all
      select k.tenant_id, k.model, k.version, k.next_at, 0 from freehold.parked k where everything and k.next_at <= now()
    )
    -- One statement, so that what is told and up to where it was looked are of one snapshot, also where nothing is told.
    select f.id, f.name, f.model, f.version, f.n, pg_current_snapshot() || ' ' || coalesce(served_now, ''), f.served, f.identity
      from (values (true)) once left join (
        select t.id::text, t.name, d.model, d.version::bigint, sum(d.n)::bigint as n, r.served, r.identity, min(d.at) as at
          from todo d join freehold.tenant t on t.id = d.tenant join freehold.projector r on r.model = d.model and r.version = d.version
          where t.state = 'active' and r.served
          group by t.id, t.name, d.model, d.version, r.served, r.identity order by min(d.at) limit most) f on true
      order by f.at;
end $$;

-- A database that came from another cluster has transaction numbers that mean nothing here: everything is filled anew.
create or replace function freehold.forget_cluster() returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  lock table freehold.log_state in exclusive mode;
  if (select s.cluster from freehold.log_state s) = freehold.cluster() then
    return;
  end if;
  truncate freehold.change_log;
  update freehold.projection set snap = freehold.before(pg_current_snapshot(), pg_current_xact_id()), filled = false,
    fill_after = null, upto = null, todo = null, cut = false, upto_cut = false, held_until = null, turn = turn + 1;
  update freehold.log_state set cluster = freehold.cluster(), mark = freehold.before(pg_current_snapshot(), pg_current_xact_id());
end $$;

-- Empties the parts of the log that are behind and that nobody needs; says how many. A projection that has not seen its
-- changes for as long as `hold` is to be filled anew instead, as one of a suspended tenant may have to be.
create or replace function freehold.tend_log(hold interval) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  part integer;
  leaf text;
  looked pg_snapshot;
  full_of boolean;
  emptied bigint := 0;
begin
  for part in 0..3 loop
    continue when part = extract(hour from now() at time zone 'UTC')::integer % 4;
    leaf := 'freehold.change_log_' || part;
    execute format('select exists (select from %s)', leaf) into full_of;
    continue when not full_of;
    looked := pg_current_snapshot();
    continue when freehold.is_needed(leaf, null, hold);
    begin
      set local lock_timeout = '500ms';
      execute format('lock table %s in access exclusive mode', leaf);
    exception when lock_not_available then
      continue;
    end;
    -- What nobody needed a moment ago nobody needs; so this is only about what was added since.
    continue when freehold.is_needed(leaf, looked, hold);
    update freehold.projection p set snap = freehold.before(pg_current_snapshot(), pg_current_xact_id()), filled = false, fill_after = null, upto = null,
        todo = null, cut = false, upto_cut = false, turn = p.turn + 1
      from freehold.lagging(leaf) g where p.tenant_id = g.tenant and p.model = g.model and p.version = g.version;
    execute format('truncate %s', leaf);
    emptied := emptied + 1;
  end loop;
  return emptied;
end $$;

-- The projections that have still to see rows of a part of the log.
create or replace function freehold.lagging(leaf text) returns table (tenant uuid, model text, version integer, at timestamptz)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query execute format($q$
    select p.tenant_id, p.model, p.version, max(l.at)
    from freehold.projection p join freehold.projector r using (model, version) join freehold.tenant t on t.id = p.tenant_id
      join %s l on l.tenant_id = p.tenant_id and l.entity = any (r.sources)
    where t.state <> 'deleting' and not pg_visible_in_snapshot(l.xid, p.snap) group by 1, 2, 3$q$, leaf);
end $$;

-- Whether a row of the part that `since` does not see has still to be seen, and not for longer than `hold`.
create or replace function freehold.is_needed(leaf text, since pg_snapshot, hold interval) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  needed boolean;
begin
  execute format($q$
    select exists (select from %s l join freehold.projector r on l.entity = any (r.sources)
      join freehold.projection p on p.tenant_id = l.tenant_id and p.model = r.model and p.version = r.version
      join freehold.tenant t on t.id = l.tenant_id
      where t.state <> 'deleting' and not pg_visible_in_snapshot(l.xid, p.snap)
        and ($1 is null or l.xid >= pg_snapshot_xmax($1) or l.xid = any (array(select pg_snapshot_xip($1))))
        and ($2 is null or l.at > clock_timestamp() - $2))$q$, leaf)
    into needed using since, hold;
  return needed;
end $$;

-- The number of this transaction, if it has changed anything, masked: it would tell a tenant's SQL how much all others
-- write. Sixteen random bytes, then the number xor the beginning of their HMAC by the servers' key.
create or replace function freehold.position() returns text
  language sql volatile security definer
begin atomic
  select encode(n.once || int8send(pg_current_xact_id_if_assigned()::text::bigint
      # ('x' || encode(substr(sha256(k.opad || sha256(k.ipad || convert_to('position', 'UTF8') || n.once)), 1, 8), 'hex'))::bit(64)::bigint), 'hex')
    from (select uuid_send(gen_random_uuid()) as once) n, freehold.mac_key k
    where k.kid = 1::smallint and pg_current_xact_id_if_assigned() is not null;
end;

-- Whether these read models of the tenant, as they are read now, show what transaction `place` did: their snapshots see it,
-- or there is nothing they have not seen. One that ends with a window that was cut shows nothing for sure but the latter. `served` says which of their definitions that is said of.
drop function if exists freehold.fresh(uuid, text[], integer[], xid8);
create or replace function freehold.fresh(tenant uuid, models text[], place xid8) returns table (fresh boolean, served text)
  language sql stable security definer
begin atomic
  select coalesce(bool_and(coalesce(p.filled and (not p.cut and pg_visible_in_snapshot(place, p.snap) or pg_visible_in_snapshot(place, pg_current_snapshot())
      and not exists (select from freehold.change_log l where l.tenant_id = tenant and l.xid >= pg_snapshot_xmax(p.snap) and l.entity = any (r.sources))
      and not exists (select from freehold.change_log l where l.tenant_id = tenant and l.xid = any (array(select pg_snapshot_xip(p.snap))) and l.entity = any (r.sources))), false)),
      true), string_agg(coalesce(r.version::text, '-'), ',' order by w.n)
    from unnest(models) with ordinality w (model, n)
      left join freehold.projector r on r.model = w.model and r.served
      left join freehold.projection p on p.tenant_id = tenant and p.model = r.model and p.version = r.version;
end;

-- How the workers keep up: for each read model all tenants together (`name` is null), and those `most` that are behind most.
-- `per_second` is of about the last minute; `units` are those of the last fill; `built_ms` is how long ago a definition that is
-- not read yet was begun.
drop function if exists freehold.projection_status(bigint);
create or replace function freehold.projection_status(most bigint)
  returns table (model text, version bigint, name text, behind bigint, lag_ms bigint, parked bigint, oldest_parked_ms bigint, filled bigint, tenants bigint,
    changes bigint, per_second text, units bigint, built_ms bigint)
  language sql volatile security definer
begin atomic
  with unseen as materialized (
    select u.tenant, u.model, u.version, sum(u.n)::bigint as n, min(u.at) as at
      from freehold.log_state s, freehold.unseen(s.mark, true) u where u.known group by 1, 2, 3),
  every as (
    select p.model, p.version, t.name, coalesce(u.n, 0) as n, u.at, k.parked, k.oldest, p.filled, p.changes, p.units,
        freehold.faded(p.recent, coalesce(p.stepped_at, p.started_at)) / 60 as rate
      from freehold.projection p join freehold.tenant t on t.id = p.tenant_id
        left join unseen u on u.tenant = p.tenant_id and u.model = p.model and u.version = p.version
        left join (select tenant_id, model, version, count(*) as parked, min(first_at) as oldest from freehold.parked group by 1, 2, 3) k
          on k.tenant_id = p.tenant_id and k.model = p.model and k.version = p.version),
  told as (
    select r.model, r.version, null as name, coalesce(sum(e.n), 0)::bigint as n, min(e.at) as at, coalesce(sum(e.parked), 0)::bigint as parked,
        min(e.oldest) as oldest, count(*) filter (where e.filled) as filled, (select count(*) from freehold.tenant where state <> 'deleting') as tenants,
        coalesce(sum(e.changes), 0)::bigint as changes, coalesce(sum(e.rate), 0) as rate, coalesce(sum(e.units), 0)::bigint as units,
        case when not r.served then r.added_at end as begun
      from freehold.projector r left join every e on e.model = r.model and e.version = r.version group by r.model, r.version
    union all
    (select e.model, e.version, e.name, e.n, e.at, coalesce(e.parked, 0), e.oldest, e.filled::integer, 1, e.changes, e.rate, e.units, null
      from every e where e.n > 0 or e.parked > 0 or not e.filled order by e.at, e.parked desc limit most))
  select d.model, d.version::bigint, d.name, d.n, (extract(epoch from clock_timestamp() - d.at) * 1000)::bigint, d.parked,
      (extract(epoch from clock_timestamp() - d.oldest) * 1000)::bigint, d.filled::bigint, d.tenants::bigint, d.changes,
      round(d.rate::numeric, 1)::text, d.units, (extract(epoch from clock_timestamp() - d.begun) * 1000)::bigint
    from told d;
end;

-- For whoever builds a definition beside the one that is read: tenants for which there is something to do, those to be filled
-- before those that only follow.
create or replace function freehold.build_due(wanted text, wanted_version integer, most bigint) returns table (id text, name text)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
  select t.id::text, t.name
    from freehold.projector r cross join freehold.tenant t
      left join freehold.projection p on p.tenant_id = t.id and p.model = r.model and p.version = r.version
    where r.model = wanted and r.version = wanted_version and not r.served and t.state = 'active'
      and (p.filled is not true
        or exists (select from freehold.change_log l where l.tenant_id = t.id and l.xid >= pg_snapshot_xmax(p.snap) and l.entity = any (r.sources))
        or exists (select from freehold.change_log l where l.tenant_id = t.id and l.xid = any (array(select pg_snapshot_xip(p.snap))) and l.entity = any (r.sources)))
    order by p.filled is true, t.id limit most
$$;

-- How far it is: tenants filled, of those there are, and units; no row if it is given up.
create or replace function freehold.build_state(wanted text, wanted_version integer) returns table (filled bigint, tenants bigint, units bigint)
  language sql stable security definer
begin atomic
  select count(p.tenant_id) filter (where p.filled), (select count(*) from freehold.tenant where state = 'active'), coalesce(sum(p.units), 0)::bigint
    from freehold.projector r left join (freehold.projection p join freehold.tenant t on t.id = p.tenant_id and t.state = 'active')
      on p.model = r.model and p.version = r.version
    where r.model = wanted and r.version = wanted_version and not r.served group by r.model, r.version;
end;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole loop
    execute format('revoke all on routine %s from public', routine);
  end loop;
end $$;
grant execute on function freehold.capture_truncate(), freehold.projector_begin(text, text[], text), freehold.projector_serve(text), freehold.projector_retire(text),
  freehold.projector_abandon(text),
  freehold.renamed(text, text, text[], text[]) to freehold_owner;
grant execute on procedure freehold.open(text), freehold.open(smallint, smallint, uuid, uuid, bigint, bigint, bytea) to freehold_project;
grant execute on function freehold.tenant(), freehold.uuidv7(), freehold.step(text, integer, bigint), freehold.projection_start(text, integer),
  freehold.changes(text, text[], bigint, bigint), freehold.step_done(text, integer, boolean, bigint),
  freehold.step_pause(text, integer, boolean, interval, text[], integer, bigint), freehold.step_filled(text, integer, text[], boolean, bigint),
  freehold.park(text, integer, text[], text, text), freehold.unpark(text, integer, text[]), freehold.parked_due(text, integer, bigint)
  to freehold_project;
grant execute on function freehold.cluster(), freehold.projection_due(text, bigint), freehold.tend_log(interval), freehold.parked_units(bigint),
  freehold.replay(text), freehold.fresh(uuid, text[], xid8), freehold.projection_status(bigint), freehold.build_due(text, integer, bigint),
  freehold.build_state(text, integer) to freehold_control;
grant execute on function freehold.position() to freehold_app;

reset role;
