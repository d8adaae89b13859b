-- 1. change field t.small (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" drop constraint "t~small~min";
alter table app."t" alter column "small" drop default;
drop index app."t~small~word~idx";
alter table app."t" alter column "small" type bigint using "small"::bigint;
alter table app."t" alter column "small" set default '1'::bigint;
alter table app."t" add constraint "t~small~min" check ("small" >= '0'::bigint) not valid;
create index "t~small~word~idx~0" on freehold_shelf."t~0" (tenant_id, "small", "word");
create index "t~small~word~idx~1" on freehold_shelf."t~1" (tenant_id, "small", "word");
create index "t~small~word~idx~2" on freehold_shelf."t~2" (tenant_id, "small", "word");
create index "t~small~word~idx~3" on freehold_shelf."t~3" (tenant_id, "small", "word");
create index "t~small~word~idx~4" on freehold_shelf."t~4" (tenant_id, "small", "word");
create index "t~small~word~idx~5" on freehold_shelf."t~5" (tenant_id, "small", "word");
create index "t~small~word~idx~6" on freehold_shelf."t~6" (tenant_id, "small", "word");
create index "t~small~word~idx~7" on freehold_shelf."t~7" (tenant_id, "small", "word");
create index "t~small~word~idx~d" on freehold_shelf."t~d" (tenant_id, "small", "word");
create index "t~small~word~idx" on app."t" (tenant_id, "small", "word");
commit;

-- 2. change field t.whole (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" drop constraint "t~whole~max";
alter table app."t" alter column "whole" drop default;
alter table app."t" alter column "whole" type text using "whole"::text;
alter table app."t" alter column "whole" set default 'five'::text;
alter table app."t" add constraint "t~whole~max_length" check (pg_catalog.char_length("whole") <= 10) not valid;
commit;

-- 3. change field t.big (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" alter column "big" type numeric using "big"::numeric;
commit;

-- 4. change field t.money (additive)
begin;
alter table app."t" drop constraint "t~money~min";
alter table app."t" alter column "money" type numeric(12,2) using "money"::numeric(12,2);
alter table app."t" add constraint "t~money~min" check ("money" >= '0.5'::numeric(12,2)) not valid;
commit;

-- 5. change field t.wide (destructive: narrow:t.wide)
-- loses digits after the point; fails if a value is out of the new type's range
begin;
alter table app."t" alter column "wide" type integer using "wide"::integer;
commit;

-- 6. change field t.real (rewriting: writes every row of t anew while all who use it wait)
begin;
set local extra_float_digits to 1;
alter table app."t" alter column "real" drop default;
alter table app."t" alter column "real" type numeric using "real"::text::numeric;
alter table app."t" alter column "real" set default '1.5'::numeric;
commit;

-- 7. change field t.flag (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" alter column "flag" drop default;
alter table app."t" alter column "flag" type integer using "flag"::integer;
alter table app."t" alter column "flag" set statistics 0;
alter table app."t" alter column "flag" set default '1'::integer;
commit;

-- 8. change field t.flag2 (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" alter column "flag2" type text using "flag2"::text;
alter table app."t" alter column "flag2" set statistics 0;
commit;

-- 9. change field t.day (rewriting: writes every row of t anew while all who use it wait)
-- fails if a value is out of the new type's range
begin;
set local timezone to 'UTC';
set local datestyle to 'ISO';
alter table app."t" alter column "day" type timestamptz using "day"::timestamptz;
commit;

-- 10. change field t.at (rewriting: writes every row of t anew while all who use it wait)
begin;
set local timezone to 'UTC';
set local datestyle to 'ISO';
alter table app."t" alter column "at" type text using "at"::text;
alter table app."t" add column "at~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.english'::regconfig, coalesce("at", ''))) stored;
alter table app."t" alter column "at~search" set statistics 0;
grant select ("at~search") on app."t" to freehold_app;
commit;

-- 11. change field t.raw (rewriting: writes every row of t anew while all who use it wait)
begin;
set local bytea_output to 'hex';
alter table app."t" drop constraint "t~raw~max_length";
alter table app."t" alter column "raw" type text using "raw"::text;
alter table app."t" add constraint "t~raw~max_length" check (pg_catalog.char_length("raw") <= 19) not valid;
commit;

-- 12. change field t.word (rewriting: writes every row of t anew while all who use it wait)
-- fails if a text does not have the new type's form
begin;
alter table app."t" drop column "word~search";
alter table app."t" drop constraint "t~word~max_length";
drop index app."t~small~word~idx";
alter table app."t" alter column "word" type jsonb using "word"::jsonb;
create index "t~small~word~idx~0" on freehold_shelf."t~0" (tenant_id, "small", "word");
create index "t~small~word~idx~1" on freehold_shelf."t~1" (tenant_id, "small", "word");
create index "t~small~word~idx~2" on freehold_shelf."t~2" (tenant_id, "small", "word");
create index "t~small~word~idx~3" on freehold_shelf."t~3" (tenant_id, "small", "word");
create index "t~small~word~idx~4" on freehold_shelf."t~4" (tenant_id, "small", "word");
create index "t~small~word~idx~5" on freehold_shelf."t~5" (tenant_id, "small", "word");
create index "t~small~word~idx~6" on freehold_shelf."t~6" (tenant_id, "small", "word");
create index "t~small~word~idx~7" on freehold_shelf."t~7" (tenant_id, "small", "word");
create index "t~small~word~idx~d" on freehold_shelf."t~d" (tenant_id, "small", "word");
create index "t~small~word~idx" on app."t" (tenant_id, "small", "word");
commit;

-- 13. change field t.choice (additive)
begin;
alter table app."t" drop constraint "t~choice~enum";
alter table app."t" alter column "choice" set statistics 0;
commit;

-- 14. change field t.code (rewriting: writes every row of t anew while all who use it wait)
-- fails if a text does not have the new type's form
begin;
alter table app."t" alter column "code" drop default;
alter table app."t" alter column "code" type integer using "code"::integer;
alter table app."t" alter column "code" set default '7'::integer;
alter table app."t" add constraint "t~code~min" check ("code" >= '0'::integer) not valid;
commit;

-- 15. change field t.key (rewriting: writes every row of t anew while all who use it wait)
begin;
drop index app."t~key~key";
alter table app."t" alter column "key" type text using "key"::text;
create unique index "t~key~key~0" on freehold_shelf."t~0" (tenant_id, "key");
create unique index "t~key~key~1" on freehold_shelf."t~1" (tenant_id, "key");
create unique index "t~key~key~2" on freehold_shelf."t~2" (tenant_id, "key");
create unique index "t~key~key~3" on freehold_shelf."t~3" (tenant_id, "key");
create unique index "t~key~key~4" on freehold_shelf."t~4" (tenant_id, "key");
create unique index "t~key~key~5" on freehold_shelf."t~5" (tenant_id, "key");
create unique index "t~key~key~6" on freehold_shelf."t~6" (tenant_id, "key");
create unique index "t~key~key~7" on freehold_shelf."t~7" (tenant_id, "key");
create unique index "t~key~key~d" on freehold_shelf."t~d" (tenant_id, "key");
create unique index "t~key~key" on app."t" (tenant_id, "key");
commit;

-- 16. change field t.list (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" drop constraint "t~list~min_length";
alter table app."t" alter column "list" drop default;
alter table app."t" alter column "list" type text[] using "list"::text[];
alter table app."t" alter column "list" set default '{"1"}'::text[];
alter table app."t" add constraint "t~list~min_length" check (pg_catalog.cardinality("list") >= 1) not valid;
commit;

-- 17. change field t.one (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" alter column "one" type text[] using case when "one" is not null then array["one"] end;
alter table app."t" add constraint "t~one~max_length" check (pg_catalog.cardinality("one") <= 2) not valid;
commit;

-- 18. change field t.doc (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" alter column "doc" type text using "doc"::text;
commit;

-- 19. change field t.vec (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" alter column "vec" type freehold_ext.sparsevec(30) using "vec"::freehold_ext.sparsevec(30);
alter table app."t" alter column "vec" set storage main;
commit;

-- 20. check field t.small (additive)
-- fails if a value is out of bounds
begin;
alter table app."t" validate constraint "t~small~min";
commit;

-- 21. check field t.whole (additive)
-- fails if a value is out of bounds
begin;
alter table app."t" validate constraint "t~whole~max_length";
commit;

-- 22. check field t.money (additive)
-- fails if a value is out of bounds
begin;
alter table app."t" validate constraint "t~money~min";
commit;

-- 23. check field t.raw (additive)
-- fails if a value is out of bounds
begin;
alter table app."t" validate constraint "t~raw~max_length";
commit;

-- 24. check field t.code (additive)
-- fails if a value is out of bounds
begin;
alter table app."t" validate constraint "t~code~min";
commit;

-- 25. check field t.list (additive)
-- fails if a value is out of bounds
begin;
alter table app."t" validate constraint "t~list~min_length";
commit;

-- 26. check field t.one (additive)
-- fails if a value is out of bounds
begin;
alter table app."t" validate constraint "t~one~max_length";
commit;

-- needs --allow narrow:t.wide