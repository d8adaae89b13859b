-- 1. build unique key p(n) (additive)
-- fails if two rows of a tenant agree in these fields
drop index concurrently if exists freehold_shelf."p~n~key~0";
create unique index concurrently "p~n~key~0" on freehold_shelf."p~0" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."p~n~key~1";
create unique index concurrently "p~n~key~1" on freehold_shelf."p~1" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."p~n~key~2";
create unique index concurrently "p~n~key~2" on freehold_shelf."p~2" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."p~n~key~3";
create unique index concurrently "p~n~key~3" on freehold_shelf."p~3" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."p~n~key~4";
create unique index concurrently "p~n~key~4" on freehold_shelf."p~4" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."p~n~key~5";
create unique index concurrently "p~n~key~5" on freehold_shelf."p~5" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."p~n~key~6";
create unique index concurrently "p~n~key~6" on freehold_shelf."p~6" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."p~n~key~7";
create unique index concurrently "p~n~key~7" on freehold_shelf."p~7" (tenant_id, "n");

-- 2. add unique key p(n) (additive)
begin;
create unique index "p~n~key" on only app."p" (tenant_id, "n");
create unique index "p~n~key~d" on only freehold_shelf."p~d" (tenant_id, "n");
alter index app."p~n~key" attach partition freehold_shelf."p~n~key~d";
alter index freehold_shelf."p~n~key~d" attach partition freehold_shelf."p~n~key~0";
alter index freehold_shelf."p~n~key~d" attach partition freehold_shelf."p~n~key~1";
alter index freehold_shelf."p~n~key~d" attach partition freehold_shelf."p~n~key~2";
alter index freehold_shelf."p~n~key~d" attach partition freehold_shelf."p~n~key~3";
alter index freehold_shelf."p~n~key~d" attach partition freehold_shelf."p~n~key~4";
alter index freehold_shelf."p~n~key~d" attach partition freehold_shelf."p~n~key~5";
alter index freehold_shelf."p~n~key~d" attach partition freehold_shelf."p~n~key~6";
alter index freehold_shelf."p~n~key~d" attach partition freehold_shelf."p~n~key~7";
commit;

-- 3. build unique key t(c) (additive)
-- fails if two rows of a tenant agree in these fields
drop index concurrently if exists freehold_shelf."t~c~key~0";
create unique index concurrently "t~c~key~0" on freehold_shelf."t~0" (tenant_id, "c");
drop index concurrently if exists freehold_shelf."t~c~key~1";
create unique index concurrently "t~c~key~1" on freehold_shelf."t~1" (tenant_id, "c");
drop index concurrently if exists freehold_shelf."t~c~key~2";
create unique index concurrently "t~c~key~2" on freehold_shelf."t~2" (tenant_id, "c");
drop index concurrently if exists freehold_shelf."t~c~key~3";
create unique index concurrently "t~c~key~3" on freehold_shelf."t~3" (tenant_id, "c");
drop index concurrently if exists freehold_shelf."t~c~key~4";
create unique index concurrently "t~c~key~4" on freehold_shelf."t~4" (tenant_id, "c");
drop index concurrently if exists freehold_shelf."t~c~key~5";
create unique index concurrently "t~c~key~5" on freehold_shelf."t~5" (tenant_id, "c");
drop index concurrently if exists freehold_shelf."t~c~key~6";
create unique index concurrently "t~c~key~6" on freehold_shelf."t~6" (tenant_id, "c");
drop index concurrently if exists freehold_shelf."t~c~key~7";
create unique index concurrently "t~c~key~7" on freehold_shelf."t~7" (tenant_id, "c");

-- 4. add unique key t(c) (additive)
begin;
create unique index "t~c~key" on only app."t" (tenant_id, "c");
create unique index "t~c~key~d" on only freehold_shelf."t~d" (tenant_id, "c");
alter index app."t~c~key" attach partition freehold_shelf."t~c~key~d";
alter index freehold_shelf."t~c~key~d" attach partition freehold_shelf."t~c~key~0";
alter index freehold_shelf."t~c~key~d" attach partition freehold_shelf."t~c~key~1";
alter index freehold_shelf."t~c~key~d" attach partition freehold_shelf."t~c~key~2";
alter index freehold_shelf."t~c~key~d" attach partition freehold_shelf."t~c~key~3";
alter index freehold_shelf."t~c~key~d" attach partition freehold_shelf."t~c~key~4";
alter index freehold_shelf."t~c~key~d" attach partition freehold_shelf."t~c~key~5";
alter index freehold_shelf."t~c~key~d" attach partition freehold_shelf."t~c~key~6";
alter index freehold_shelf."t~c~key~d" attach partition freehold_shelf."t~c~key~7";
commit;

-- 5. build unique key t(b, a) (additive)
-- fails if two rows of a tenant agree in these fields
drop index concurrently if exists freehold_shelf."t~b~a~key~0";
create unique index concurrently "t~b~a~key~0" on freehold_shelf."t~0" (tenant_id, "b", "a");
drop index concurrently if exists freehold_shelf."t~b~a~key~1";
create unique index concurrently "t~b~a~key~1" on freehold_shelf."t~1" (tenant_id, "b", "a");
drop index concurrently if exists freehold_shelf."t~b~a~key~2";
create unique index concurrently "t~b~a~key~2" on freehold_shelf."t~2" (tenant_id, "b", "a");
drop index concurrently if exists freehold_shelf."t~b~a~key~3";
create unique index concurrently "t~b~a~key~3" on freehold_shelf."t~3" (tenant_id, "b", "a");
drop index concurrently if exists freehold_shelf."t~b~a~key~4";
create unique index concurrently "t~b~a~key~4" on freehold_shelf."t~4" (tenant_id, "b", "a");
drop index concurrently if exists freehold_shelf."t~b~a~key~5";
create unique index concurrently "t~b~a~key~5" on freehold_shelf."t~5" (tenant_id, "b", "a");
drop index concurrently if exists freehold_shelf."t~b~a~key~6";
create unique index concurrently "t~b~a~key~6" on freehold_shelf."t~6" (tenant_id, "b", "a");
drop index concurrently if exists freehold_shelf."t~b~a~key~7";
create unique index concurrently "t~b~a~key~7" on freehold_shelf."t~7" (tenant_id, "b", "a");

-- 6. add unique key t(b, a) (additive)
begin;
create unique index "t~b~a~key" on only app."t" (tenant_id, "b", "a");
create unique index "t~b~a~key~d" on only freehold_shelf."t~d" (tenant_id, "b", "a");
alter index app."t~b~a~key" attach partition freehold_shelf."t~b~a~key~d";
alter index freehold_shelf."t~b~a~key~d" attach partition freehold_shelf."t~b~a~key~0";
alter index freehold_shelf."t~b~a~key~d" attach partition freehold_shelf."t~b~a~key~1";
alter index freehold_shelf."t~b~a~key~d" attach partition freehold_shelf."t~b~a~key~2";
alter index freehold_shelf."t~b~a~key~d" attach partition freehold_shelf."t~b~a~key~3";
alter index freehold_shelf."t~b~a~key~d" attach partition freehold_shelf."t~b~a~key~4";
alter index freehold_shelf."t~b~a~key~d" attach partition freehold_shelf."t~b~a~key~5";
alter index freehold_shelf."t~b~a~key~d" attach partition freehold_shelf."t~b~a~key~6";
alter index freehold_shelf."t~b~a~key~d" attach partition freehold_shelf."t~b~a~key~7";
commit;

-- 7. build unique key t(s, d) (additive)
-- fails if two rows of a tenant agree in these fields
drop index concurrently if exists freehold_shelf."t~s~d~key~0";
create unique index concurrently "t~s~d~key~0" on freehold_shelf."t~0" (tenant_id, "s", "d");
drop index concurrently if exists freehold_shelf."t~s~d~key~1";
create unique index concurrently "t~s~d~key~1" on freehold_shelf."t~1" (tenant_id, "s", "d");
drop index concurrently if exists freehold_shelf."t~s~d~key~2";
create unique index concurrently "t~s~d~key~2" on freehold_shelf."t~2" (tenant_id, "s", "d");
drop index concurrently if exists freehold_shelf."t~s~d~key~3";
create unique index concurrently "t~s~d~key~3" on freehold_shelf."t~3" (tenant_id, "s", "d");
drop index concurrently if exists freehold_shelf."t~s~d~key~4";
create unique index concurrently "t~s~d~key~4" on freehold_shelf."t~4" (tenant_id, "s", "d");
drop index concurrently if exists freehold_shelf."t~s~d~key~5";
create unique index concurrently "t~s~d~key~5" on freehold_shelf."t~5" (tenant_id, "s", "d");
drop index concurrently if exists freehold_shelf."t~s~d~key~6";
create unique index concurrently "t~s~d~key~6" on freehold_shelf."t~6" (tenant_id, "s", "d");
drop index concurrently if exists freehold_shelf."t~s~d~key~7";
create unique index concurrently "t~s~d~key~7" on freehold_shelf."t~7" (tenant_id, "s", "d");

-- 8. add unique key t(s, d) (additive)
begin;
create unique index "t~s~d~key" on only app."t" (tenant_id, "s", "d");
create unique index "t~s~d~key~d" on only freehold_shelf."t~d" (tenant_id, "s", "d");
alter index app."t~s~d~key" attach partition freehold_shelf."t~s~d~key~d";
alter index freehold_shelf."t~s~d~key~d" attach partition freehold_shelf."t~s~d~key~0";
alter index freehold_shelf."t~s~d~key~d" attach partition freehold_shelf."t~s~d~key~1";
alter index freehold_shelf."t~s~d~key~d" attach partition freehold_shelf."t~s~d~key~2";
alter index freehold_shelf."t~s~d~key~d" attach partition freehold_shelf."t~s~d~key~3";
alter index freehold_shelf."t~s~d~key~d" attach partition freehold_shelf."t~s~d~key~4";
alter index freehold_shelf."t~s~d~key~d" attach partition freehold_shelf."t~s~d~key~5";
alter index freehold_shelf."t~s~d~key~d" attach partition freehold_shelf."t~s~d~key~6";
alter index freehold_shelf."t~s~d~key~d" attach partition freehold_shelf."t~s~d~key~7";
commit;

-- 9. build index t(b) (additive)
drop index concurrently if exists freehold_shelf."t~b~idx~0";
create index concurrently "t~b~idx~0" on freehold_shelf."t~0" (tenant_id, "b");
drop index concurrently if exists freehold_shelf."t~b~idx~1";
create index concurrently "t~b~idx~1" on freehold_shelf."t~1" (tenant_id, "b");
drop index concurrently if exists freehold_shelf."t~b~idx~2";
create index concurrently "t~b~idx~2" on freehold_shelf."t~2" (tenant_id, "b");
drop index concurrently if exists freehold_shelf."t~b~idx~3";
create index concurrently "t~b~idx~3" on freehold_shelf."t~3" (tenant_id, "b");
drop index concurrently if exists freehold_shelf."t~b~idx~4";
create index concurrently "t~b~idx~4" on freehold_shelf."t~4" (tenant_id, "b");
drop index concurrently if exists freehold_shelf."t~b~idx~5";
create index concurrently "t~b~idx~5" on freehold_shelf."t~5" (tenant_id, "b");
drop index concurrently if exists freehold_shelf."t~b~idx~6";
create index concurrently "t~b~idx~6" on freehold_shelf."t~6" (tenant_id, "b");
drop index concurrently if exists freehold_shelf."t~b~idx~7";
create index concurrently "t~b~idx~7" on freehold_shelf."t~7" (tenant_id, "b");

-- 10. add index t(b) (additive)
begin;
create index "t~b~idx" on only app."t" (tenant_id, "b");
create index "t~b~idx~d" on only freehold_shelf."t~d" (tenant_id, "b");
alter index app."t~b~idx" attach partition freehold_shelf."t~b~idx~d";
alter index freehold_shelf."t~b~idx~d" attach partition freehold_shelf."t~b~idx~0";
alter index freehold_shelf."t~b~idx~d" attach partition freehold_shelf."t~b~idx~1";
alter index freehold_shelf."t~b~idx~d" attach partition freehold_shelf."t~b~idx~2";
alter index freehold_shelf."t~b~idx~d" attach partition freehold_shelf."t~b~idx~3";
alter index freehold_shelf."t~b~idx~d" attach partition freehold_shelf."t~b~idx~4";
alter index freehold_shelf."t~b~idx~d" attach partition freehold_shelf."t~b~idx~5";
alter index freehold_shelf."t~b~idx~d" attach partition freehold_shelf."t~b~idx~6";
alter index freehold_shelf."t~b~idx~d" attach partition freehold_shelf."t~b~idx~7";
commit;

-- 11. build index t(d) (additive)
drop index concurrently if exists freehold_shelf."t~d~idx~0";
create index concurrently "t~d~idx~0" on freehold_shelf."t~0" (tenant_id, "d");
drop index concurrently if exists freehold_shelf."t~d~idx~1";
create index concurrently "t~d~idx~1" on freehold_shelf."t~1" (tenant_id, "d");
drop index concurrently if exists freehold_shelf."t~d~idx~2";
create index concurrently "t~d~idx~2" on freehold_shelf."t~2" (tenant_id, "d");
drop index concurrently if exists freehold_shelf."t~d~idx~3";
create index concurrently "t~d~idx~3" on freehold_shelf."t~3" (tenant_id, "d");
drop index concurrently if exists freehold_shelf."t~d~idx~4";
create index concurrently "t~d~idx~4" on freehold_shelf."t~4" (tenant_id, "d");
drop index concurrently if exists freehold_shelf."t~d~idx~5";
create index concurrently "t~d~idx~5" on freehold_shelf."t~5" (tenant_id, "d");
drop index concurrently if exists freehold_shelf."t~d~idx~6";
create index concurrently "t~d~idx~6" on freehold_shelf."t~6" (tenant_id, "d");
drop index concurrently if exists freehold_shelf."t~d~idx~7";
create index concurrently "t~d~idx~7" on freehold_shelf."t~7" (tenant_id, "d");

-- 12. add index t(d) (additive)
begin;
create index "t~d~idx" on only app."t" (tenant_id, "d");
create index "t~d~idx~d" on only freehold_shelf."t~d" (tenant_id, "d");
alter index app."t~d~idx" attach partition freehold_shelf."t~d~idx~d";
alter index freehold_shelf."t~d~idx~d" attach partition freehold_shelf."t~d~idx~0";
alter index freehold_shelf."t~d~idx~d" attach partition freehold_shelf."t~d~idx~1";
alter index freehold_shelf."t~d~idx~d" attach partition freehold_shelf."t~d~idx~2";
alter index freehold_shelf."t~d~idx~d" attach partition freehold_shelf."t~d~idx~3";
alter index freehold_shelf."t~d~idx~d" attach partition freehold_shelf."t~d~idx~4";
alter index freehold_shelf."t~d~idx~d" attach partition freehold_shelf."t~d~idx~5";
alter index freehold_shelf."t~d~idx~d" attach partition freehold_shelf."t~d~idx~6";
alter index freehold_shelf."t~d~idx~d" attach partition freehold_shelf."t~d~idx~7";
commit;

-- 13. build index t(r) (additive)
drop index concurrently if exists freehold_shelf."t~r~idx~0";
create index concurrently "t~r~idx~0" on freehold_shelf."t~0" (tenant_id, "r");
drop index concurrently if exists freehold_shelf."t~r~idx~1";
create index concurrently "t~r~idx~1" on freehold_shelf."t~1" (tenant_id, "r");
drop index concurrently if exists freehold_shelf."t~r~idx~2";
create index concurrently "t~r~idx~2" on freehold_shelf."t~2" (tenant_id, "r");
drop index concurrently if exists freehold_shelf."t~r~idx~3";
create index concurrently "t~r~idx~3" on freehold_shelf."t~3" (tenant_id, "r");
drop index concurrently if exists freehold_shelf."t~r~idx~4";
create index concurrently "t~r~idx~4" on freehold_shelf."t~4" (tenant_id, "r");
drop index concurrently if exists freehold_shelf."t~r~idx~5";
create index concurrently "t~r~idx~5" on freehold_shelf."t~5" (tenant_id, "r");
drop index concurrently if exists freehold_shelf."t~r~idx~6";
create index concurrently "t~r~idx~6" on freehold_shelf."t~6" (tenant_id, "r");
drop index concurrently if exists freehold_shelf."t~r~idx~7";
create index concurrently "t~r~idx~7" on freehold_shelf."t~7" (tenant_id, "r");

-- 14. add index t(r) (additive)
begin;
create index "t~r~idx" on only app."t" (tenant_id, "r");
create index "t~r~idx~d" on only freehold_shelf."t~d" (tenant_id, "r");
alter index app."t~r~idx" attach partition freehold_shelf."t~r~idx~d";
alter index freehold_shelf."t~r~idx~d" attach partition freehold_shelf."t~r~idx~0";
alter index freehold_shelf."t~r~idx~d" attach partition freehold_shelf."t~r~idx~1";
alter index freehold_shelf."t~r~idx~d" attach partition freehold_shelf."t~r~idx~2";
alter index freehold_shelf."t~r~idx~d" attach partition freehold_shelf."t~r~idx~3";
alter index freehold_shelf."t~r~idx~d" attach partition freehold_shelf."t~r~idx~4";
alter index freehold_shelf."t~r~idx~d" attach partition freehold_shelf."t~r~idx~5";
alter index freehold_shelf."t~r~idx~d" attach partition freehold_shelf."t~r~idx~6";
alter index freehold_shelf."t~r~idx~d" attach partition freehold_shelf."t~r~idx~7";
commit;

-- 15. remove unique key t(b) (additive)
begin;
drop index app."t~b~key";
commit;

-- 16. remove unique key t(a, b) (additive)
begin;
drop index app."t~a~b~key";
commit;

-- 17. remove index t(c) (additive)
begin;
drop index app."t~c~idx";
commit;

-- 18. remove index t(r, a) (additive)
begin;
drop index app."t~r~a~idx";
commit;

-- 19. remove index t(s) (additive)
begin;
drop index app."t~s~idx";
commit;
