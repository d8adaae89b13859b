-- What plans stand on: the part of the platform that the tables of a model name.
do $$ begin
  if to_regrole('freehold_owner') is null then create role freehold_owner nologin; end if;
  if to_regrole('freehold_app') is null then create role freehold_app login; end if;
  if to_regrole('freehold_anonymous') is null then create role freehold_anonymous nologin; end if;
  if to_regrole('freehold_project') is null then create role freehold_project nologin; end if;
end $$;
create schema freehold;
create schema freehold_ext;
create schema app authorization freehold_owner;
create schema freehold_shelf authorization freehold_owner;
create extension vector schema freehold_ext;
grant usage on schema freehold_ext, freehold to freehold_owner, freehold_app;
grant usage on schema freehold_ext, freehold, app to freehold_project;
grant usage on schema app to freehold_app;
alter default privileges for role freehold_owner revoke execute on functions from public;
create function freehold.tenant() returns uuid stable language plpgsql as $$
begin
  return current_setting('freehold.test_tenant')::uuid;
end $$;
create function freehold.uuidv7() returns uuid volatile language sql as 'select gen_random_uuid()';
create table freehold.embedding_due (tenant_id uuid, entity text, field text);
create function freehold.embedding_due() returns trigger security definer language plpgsql as $$
begin
  insert into freehold.embedding_due values (freehold.tenant(), tg_argv[0], tg_argv[1]);
  return null;
end $$;
create table freehold.change_log (tenant_id uuid, entity text, op "char", fields text[], n integer, links text[]);
grant insert on freehold.change_log to freehold_owner;
create function freehold.note() returns trigger language plpgsql as $$ begin return null; end $$;
create function freehold.note_rows() returns trigger language plpgsql as $$ begin return null; end $$;
create function freehold.capture_truncate() returns trigger language plpgsql as $$ begin return null; end $$;
create function freehold.projector_serve(model text) returns void language sql as '';
create function freehold.projector_retire(model text) returns void language sql as '';
create function freehold.renamed(entity text, entity_to text, fields text[], fields_to text[]) returns void language sql as '';
grant execute on all functions in schema freehold to freehold_owner;
create function freehold.blob_take(tenant uuid, wanted uuid, of_entity text, of_field text, of_row uuid, size_max bigint, types text[], rule text)
  returns void language sql as '';
create function freehold.blob_owned(tenant uuid, wanted uuid, person uuid, of_class smallint) returns void language sql as '';
create function freehold.blobs_to_own(of_entity text, of_field text) returns void language sql as '';
create function freehold.blob_drop(tenant uuid, unwanted uuid) returns void language sql as '';
create function freehold.blobs_dropped(of_entity text, of_field text) returns void language sql as '';
create function freehold.blobs_renamed(entities text[], fields text[], entities_to text[], fields_to text[]) returns void language sql as '';
grant execute on all functions in schema freehold to freehold_owner;
create function freehold.field_sealed(text, text) returns integer language sql return 1;
create function freehold.fields_unsealed(text, text) returns void language sql begin atomic end;
create function freehold.sealed_renamed(text[], text[], text[], text[]) returns void language sql begin atomic end;
create function freehold.refuse_held(uuid, uuid) returns void language sql begin atomic end;
grant execute on all functions in schema freehold to freehold_owner;
