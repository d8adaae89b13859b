-- FH-W01 not-forced severe managed: same
-- what: a table or partition of tenants' rows on which row-level security is not enabled and forced
-- why: without FORCE the owner's statements see all tenants; without RLS everybody does
-- mend: alter table <table> enable row level security, force row level security
select t.name, case when t.relrowsecurity then 'row-level security is not forced' else 'row-level security is off' end
  from (select name, relrowsecurity, relforcerowsecurity from piece union all select name, relrowsecurity, relforcerowsecurity from walled) t
  where not (t.relrowsecurity and t.relforcerowsecurity)

-- FH-W02 no-wall severe managed: same
-- what: a table of tenants' rows without the one canonical wall
-- why: only a RESTRICTIVE policy FOR ALL TO PUBLIC whose USING and WITH CHECK are both tenant_id = freehold.tenant() holds for every role and command, whatever policies come later
-- mend: drop policy if exists wall on <table>; create policy wall on <table> as restrictive for all to public using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())
select t.name, 'no policy is the wall'
  from (select oid, name from piece where not relispartition union all select oid, name from walled) t
  where not exists (select from policy p where p.polrelid = t.oid and p.is_wall)

-- FH-W03 other-policy error managed: same
-- what: a policy on a table of tenants' rows that is neither the wall nor the permission of a login, or of another login than Freehold gives it to
-- why: a permissive policy lets more roles in, a restrictive one bound to a role is dropped by DROP OWNED; a wall that is only almost right hides the lack of the right one
-- mend: drop policy <policy> on <table>
select t.name, 'policy ' || quote_ident(p.polname)
  from policy p join (select oid, name from piece where not relispartition union all select oid, name from walled) t on t.oid = p.polrelid
  where not coalesce(p.is_wall, false) and not coalesce(p.is_use, false)

-- FH-W04 partition-policy error managed: same
-- what: a policy on a partition
-- why: partitions are shut because they have none; a permissive one opens the way around the root's wall
-- mend: drop policy <policy> on <table>
select t.name, 'policy ' || quote_ident(p.polname) from policy p join piece t on t.oid = p.polrelid where t.relispartition

-- FH-W05 no-tenant-column severe managed: same
-- what: a table in the tenants' schemas without a column tenant_id uuid not null
-- why: a row without a tenant is everybody's or nobody's, and no wall can be built on it
-- mend: put the table into another schema, or: alter table <table> add column tenant_id uuid not null default freehold.tenant()
select t.name, 'no column tenant_id uuid not null' from piece t where t.has_tenant is not true

-- FH-W06 outside-model warning managed: same
-- what: a table in schema app that the applied model does not know
-- why: no apply looks after it: its grants, its references and its indexes are somebody's handiwork
-- mend: declare it in the model, or put it into another schema
select t.name, 'the model has no such entity' from piece t join home h on h.oid = t.relnamespace and h.name = 'app'
  where t.relname <> all ({entities})

-- FH-W07 entity-without-table error managed: same
-- what: an entity of the applied model that has no table
-- why: what is checked is not what is served
-- mend: restore the table from a backup
select 'app.' || quote_ident(e), 'the model has the entity, the database has no such table'
  from unnest({entities}) e where not exists (select from piece t join home h on h.oid = t.relnamespace and h.name = 'app' where t.relname = e)

-- FH-W08 view-as-owner severe managed: same
-- what: a view in the tenants' schemas, or open to the servers' logins, that is not security_invoker
-- why: such a view reads with its owner's rights, and the owner may pass the wall
-- mend: alter view <view> set (security_invoker = true, security_barrier = true)
select c.oid::regclass::text, 'runs as ' || c.relowner::regrole
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'v' and n.nspname not in ('pg_catalog', 'information_schema')
    and (n.oid in (select oid from home) or exists (select from login l where has_any_column_privilege(l.oid, c.oid, 'select')))
    and not exists (select from pg_options_to_table(c.reloptions) o where o.option_name = 'security_invoker' and o.option_value::boolean)

-- FH-W09 unwalled-relation severe managed: same
-- what: a materialized view or foreign table in the tenants' schemas, or open to the servers' logins
-- why: neither can have row-level security
-- mend: drop it, or move it to another schema and: revoke all on <relation> from public, freehold_app, freehold_anonymous, freehold_control
select c.oid::regclass::text, case c.relkind when 'm' then 'materialized view' else 'foreign table' end
  from pg_class c
  where c.relkind in ('m', 'f') and (c.relnamespace in (select oid from home)
    or exists (select from login l where has_any_column_privilege(l.oid, c.oid, 'select')))

-- FH-W13 view-not-served warning managed: same
-- what: a view in schema app that reads something that is not an entity behind the wall
-- why: nothing holds what comes from there to one tenant, so the API does not serve the view
-- mend: drop view <view>, or let it read entities and other such views alone
select 'app.' || quote_ident(v ->> 'name'), v ->> 'fault' from jsonb_array_elements(freehold.exposed()::jsonb -> 'views') v
  where v ->> 'fault' like 'it reads what%'

-- FH-W10 rule severe managed: same
-- what: a rewrite rule on a table of tenants' rows
-- why: a rule's statements run with the rights of the table's owner, in every tenant's session
-- mend: drop rule <rule> on <table>
select t.name, 'rule ' || quote_ident(r.rulename) from pg_rewrite r join piece t on t.oid = r.ev_class where r.rulename <> '_RETURN'

-- FH-W11 foreign-trigger severe managed: same
-- what: a trigger on a table of tenants' rows whose function is not Freehold's
-- why: it runs inside every tenant's session and can carry rows out
-- mend: drop trigger <trigger> on <table>
select t.name, 'trigger ' || quote_ident(g.tgname) || ' runs ' || g.tgfoid::regprocedure::text
  from pg_trigger g join piece t on t.oid = g.tgrelid join pg_proc f on f.oid = g.tgfoid
  where not g.tgisinternal
    and not (f.proowner = (select oid from house where name = 'freehold_owner') and f.pronamespace = (select oid from home where name = 'freehold_shelf') 
      -- Those of the change log write it in the owner's name.
      and (not f.prosecdef or f.proname = g.tgname and coalesce(f.proconfig @> array['search_path=pg_catalog, pg_temp'], false)))
    and not (f.proowner = (select oid from house where name = 'freehold_gate') and f.pronamespace in (select oid from platform) and f.proname in ('embedding_due', 'capture_truncate', 'note', 'note_rows'))

-- FH-W12 trigger-off error managed: same
-- what: a trigger or reference of a table of tenants' rows that is switched off, or fires for replicas only
-- why: references then hold nothing, and vectors go stale
-- mend: alter table <table> enable trigger all, then: alter table <root> validate constraint <reference>
select t.name, string_agg(quote_ident(g.tgname), ', ' order by g.tgname)
  from pg_trigger g join piece t on t.oid = g.tgrelid where g.tgenabled <> 'O' group by t.name

-- FH-W14 not-noted error managed: same
-- what: a table of tenants' rows whose writes leave no notes
-- why: answers that were kept are then given out although the rows have changed
-- mend: create or replace trigger noted after insert or update or delete or truncate on <table> for each statement execute function freehold.note()
select t.name, 'not all that writes to it runs freehold.note() or freehold.note_rows()' from piece t
  where t.relnamespace = (select oid from home where name = 'app') and not t.relispartition
    and not (select coalesce(bool_or(n.whole), false) or array_agg(n.what) @> array['fresh', 'changed', 'removed', 'moved'] from (
      select g.tgtype = 60 and f.name = 'note' as whole,
          case when f.name = 'note' and g.tgtype = 36 then 'fresh'
            when f.name = 'note_rows' and g.tgtype = 16 and g.tgnewtable = 'changed' then 'changed'
            when f.name = 'note_rows' and g.tgtype = 8 and g.tgoldtable = 'changed' then 'removed'
            when f.name = 'note' and g.tgtype = 16 and (select array_agg(a.attname::text) from pg_attribute a
              where a.attrelid = t.oid and a.attnum = any (g.tgattr::smallint[])) @> '{tenant_id,id}' then 'moved' end as what
        from pg_trigger g join (values ('note', 'freehold.note()'::regprocedure), ('note_rows', 'freehold.note_rows()')) f (name, id) on f.id = g.tgfoid
        where g.tgrelid = t.oid and g.tgqual is null) n)
