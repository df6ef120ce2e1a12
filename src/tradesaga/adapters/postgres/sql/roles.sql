-- Run by the owner of the schema, who must be allowed to make roles. Repeating it changes nothing.
-- The owner applies migrations. The service works as tradesaga_app, dashboards as tradesaga_reader,
-- who audits as tradesaga_auditor. None of the three has a password until you set one.

do $$
declare name text;
begin
  foreach name in array array['tradesaga_app', 'tradesaga_reader', 'tradesaga_auditor'] loop
    begin
      execute format('create role %I login', name);
    exception when duplicate_object or unique_violation then null;  -- another was first
    end;
  end loop;
end $$;

grant usage on schema orchestration to tradesaga_app, tradesaga_reader, tradesaga_auditor;
grant select on public.schema_migrations to tradesaga_app, tradesaga_reader, tradesaga_auditor;

revoke all on all tables in schema orchestration
  from tradesaga_app, tradesaga_reader, tradesaga_auditor;

-- The service: rows, but neither tables nor a second version of the log.
grant select, insert, update on all tables in schema orchestration to tradesaga_app;
grant usage on all sequences in schema orchestration to tradesaga_app;
revoke update on orchestration.journal_log from tradesaga_app;
grant delete on orchestration.sagas, orchestration.orders, orchestration.venue_order_ids,
  orchestration.reservations, orchestration.fills, orchestration.trades, orchestration.decisions,
  orchestration.cycles, orchestration.cycle_logs, orchestration.inbox, orchestration.dead_letters,
  orchestration.kept_answers, orchestration.relay_marks, orchestration.nodes to tradesaga_app;

-- Dashboards: everything but what guards the API.
grant select on all tables in schema orchestration to tradesaga_reader;
revoke select on orchestration.api_tokens, orchestration.kept_answers from tradesaga_reader;

grant select on orchestration.journal_log, orchestration.audit_log, orchestration.heads
  to tradesaga_auditor;
