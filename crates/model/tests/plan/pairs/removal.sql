-- 1. remove unique key a(gone) (additive)
begin;
drop index app."a~gone~key";
commit;

-- 2. remove index a(x) (additive)
begin;
drop index app."a~x~idx";
commit;

-- 3. remove index a(self) (additive)
begin;
drop index app."a~self~idx";
commit;

-- 4. remove field a.meaning (destructive: drop:a.meaning)
begin;
drop trigger "a~meaning~outdated" on app."a";
drop function freehold_shelf."a~meaning~outdated"();
drop trigger "a~meaning~due" on app."a";
alter table app."a" drop column "meaning";
commit;

-- 5. remove field a.x (destructive: drop:a.x)
begin;
alter table app."a" drop constraint "a~x~fk";
alter table app."a" drop column "x";
commit;

-- 6. remove field a.gone (destructive: drop:a.gone)
begin;
alter table app."a" drop column "gone~search";
alter table app."a" drop column "gone";
commit;

-- 7. remove field a.self (destructive: drop:a.self)
begin;
alter table app."a" drop constraint "a~self~fk";
alter table app."a" drop column "self";
commit;

-- 8. remove entity b (destructive: drop:b)
begin;
alter table app."c" drop constraint "c~w~fk";
drop table app."b";
drop function freehold_shelf."b~v~outdated"();
commit;

-- 9. remove entity c (destructive: drop:c)
begin;
drop table app."c";
commit;

-- needs --allow drop:a.meaning
-- needs --allow drop:a.x
-- needs --allow drop:a.gone
-- needs --allow drop:a.self
-- needs --allow drop:b
-- needs --allow drop:c