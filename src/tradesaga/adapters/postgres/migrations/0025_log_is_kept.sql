-- migrate:up
-- The log is only added to. The trigger holds for every role, the owner of the table included; who
-- may alter the table can disable it, and the hash chain tells of that.

create function orchestration.refuse_change_of_log() returns trigger
language plpgsql set search_path = '' as $$
begin
  raise exception 'the log is only added to' using errcode = 'insufficient_privilege';
end $$;

create trigger kept before update or delete or truncate on orchestration.journal_log
for each statement execute function orchestration.refuse_change_of_log();

-- migrate:down
-- forward only: restore a backup instead
