-- FH-K01 unique-across-tenants error managed: same
-- what: a unique key or exclusion constraint of tenants' rows without tenant_id
-- why: a value that is taken by another tenant is refused, which says that it exists there
-- mend: make it again with tenant_id first, then: drop index <index>
select t.name, i.indexrelid::regclass::text from pg_index i join piece t on t.oid = i.indrelid
  where (i.indisunique or i.indisexclusion) and t.tenant is not null and not t.tenant = any (i.indkey::int2[])

-- FH-K02 index-not-led warning managed: same
-- what: an index on tenants' rows that does not begin with tenant_id
-- why: it is searched before the wall is asked, and EXPLAIN ANALYZE tells how many rows of others it found
-- mend: create index on <table> (tenant_id, ...), then: drop index <index>
select t.name, i.indexrelid::regclass::text
  from pg_index i join piece t on t.oid = i.indrelid join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
  where t.tenant is not null and i.indkey[0] <> t.tenant and m.amname not in ('hnsw', 'ivfflat')

-- FH-K03 reference-across-tenants error managed: same
-- what: a reference of tenants' rows that does not pair tenant_id with tenant_id
-- why: the check of a reference passes the wall: it tells whether a row of another tenant exists, and ties the two together
-- mend: alter table <table> drop constraint <reference>; declare it in the model
select t.name, quote_ident(c.conname) || ' to ' || c.confrelid::regclass
  from pg_constraint c join piece t on t.oid = c.conrelid
  where c.contype = 'f' and c.conparentid = 0
    and not exists (
      select from generate_subscripts(c.conkey, 1) n
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[n]
        join pg_attribute b on b.attrelid = c.confrelid and b.attnum = c.confkey[n]
      where a.attname = 'tenant_id' and b.attname = 'tenant_id')

-- FH-K04 reference-clears-tenant error managed: same
-- what: a reference whose ON DELETE or ON UPDATE sets tenant_id to null or its default
-- why: the deletion of one row fails, or moves another into whatever tenant is open
-- mend: alter table <table> drop constraint <reference>; the model's `unlink` sets the one column
select t.name, quote_ident(c.conname) from pg_constraint c join piece t on t.oid = c.conrelid
  where c.contype = 'f' and c.conparentid = 0
    and (c.confdeltype in ('n', 'd') and t.tenant = any (coalesce(c.confdelsetcols, c.conkey)) or c.confupdtype in ('n', 'd') and t.tenant = any (c.conkey))

-- FH-K05 reference-unchecked error managed: same
-- what: a reference of tenants' rows that is not validated or not enforced
-- why: rows from before it may refer to nothing, or to what was another tenant's
-- mend: freehold apply --resume if one was interrupted; else: alter table <table> validate constraint <reference>
select t.name, quote_ident(c.conname)
  from pg_constraint c join piece t on t.oid = c.conrelid
  where c.contype = 'f' and (not c.convalidated or to_jsonb(c) ->> 'conenforced' = 'false')

-- FH-K06 check-unchecked warning managed: same
-- what: a check of tenants' rows that is not validated or not enforced
-- why: rows from before it may hold what the model forbids
-- mend: alter table <table> validate constraint <check>
select t.name, quote_ident(c.conname)
  from pg_constraint c join piece t on t.oid = c.conrelid
  where c.contype in ('c', 'n') and (not c.convalidated or to_jsonb(c) ->> 'conenforced' = 'false')

-- FH-K07 index-invalid warning managed: same
-- what: an index of tenants' rows that is invalid
-- why: it is paid for with each write, serves no query and, if unique, holds nothing
-- mend: freehold apply --resume if one was interrupted; else: drop index <index>
select t.name, i.indexrelid::regclass::text from pg_index i join piece t on t.oid = i.indrelid where not (i.indisvalid and i.indisready)

-- FH-K08 statistics error managed: same
-- what: a column of tenants' rows, other than boolean and enum ones, of which statistics are kept
-- why: EXPLAIN reads the statistics of all tenants: by its estimates another tenant's values can be spelled out
-- mend: alter table <table> alter column <column> set statistics 0
select t.name, string_agg(quote_ident(a.attname), ', ' order by a.attnum)
  from piece t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
  where a.atttypid <> 'boolean'::regtype and coalesce(a.attstattarget, -1) <> 0
    and not exists (select from pg_constraint c where c.conrelid = t.oid and c.contype = 'c' and c.conkey = array[a.attnum]
      and c.conname like '%~enum' and pg_get_expr(c.conbin, c.conrelid) ~ '= ANY \(ARRAY\[')
  group by t.name

-- FH-K09 extended-statistics error managed: same
-- what: extended statistics on tenants' rows, or those of an index on an expression
-- why: they spell values of all tenants as plain ones do
-- mend: drop statistics <name>; alter index <index> alter column <n> set statistics 0
select t.name, 'statistics ' || s.stxnamespace::regnamespace || '.' || quote_ident(s.stxname) from pg_statistic_ext s join piece t on t.oid = s.stxrelid
union all
select t.name, 'index ' || i.indexrelid::regclass
  from pg_index i join piece t on t.oid = i.indrelid join pg_attribute a on a.attrelid = i.indexrelid
  where i.indexprs is not null and i.indkey[a.attnum - 1] = 0 and coalesce(a.attstattarget, -1) <> 0

-- FH-K10 shared-graph error managed: same
-- what: an approximate vector index on a table that holds more than one tenant
-- why: the graph of all shapes the answers of each: results go missing where a neighbour is dense, which tells what its texts are about, and a neighbour can plant them
-- mend: drop index <index>; give the tenant a partition of its own first
select t.name, i.indexrelid::regclass::text || ' (' || m.amname || ')'
  from pg_index i join piece t on t.oid = i.indrelid join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
  where m.amname in ('hnsw', 'ivfflat')
    and not (t.relispartition and coalesce(pg_get_expr(t.relpartbound, t.oid), '') ~ '^FOR VALUES IN \(''[0-9a-f-]{36}''\)$')
    and t.oid not in (select oid from copy)

-- FH-K11 foreign-code error managed: same
-- what: a default, generated column, check, index or policy of tenants' rows that calls a function neither PostgreSQL's nor Freehold's
-- why: it runs in every tenant's session
-- mend: alter table <table> alter column <column> drop default; or drop what calls it
select pg_describe_object(d.classid, d.objid, d.objsubid), 'calls ' || f.name
  from pg_depend d join fn f on f.oid = d.refobjid
  where d.refclassid = 'pg_proc'::regclass and f.pronamespace not in (select oid from platform)
    and (d.classid = 'pg_attrdef'::regclass and d.objid in (select a.oid from pg_attrdef a join piece t on t.oid = a.adrelid)
      or d.classid = 'pg_constraint'::regclass and d.objid in (select c.oid from pg_constraint c join piece t on t.oid = c.conrelid)
      or d.classid = 'pg_class'::regclass and d.objid in (select i.indexrelid from pg_index i join piece t on t.oid = i.indrelid)
      or d.classid = 'pg_policy'::regclass and d.objid in (select p.oid from pg_policy p join piece t on t.oid = p.polrelid))

-- FH-K12 statistics-left error managed: no
-- what: statistics of tenants' values that were gathered before they were switched off
-- why: switching statistics off leaves what is there, and EXPLAIN goes on reading it
-- mend: delete from pg_statistic where starelid = '<table>'::regclass and staattnum = <number>
select t.name, string_agg(quote_ident(a.attname) || ' (' || a.attnum || ')', ', ' order by a.attnum)
  from piece t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and coalesce(a.attstattarget, -1) = 0
    join pg_statistic s on s.starelid = t.oid and s.staattnum = a.attnum
  group by t.name
