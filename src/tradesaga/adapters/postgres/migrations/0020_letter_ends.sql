-- migrate:up
-- What a person did about a dead letter: one row at most for each, under an id that is a function
-- of the letter. Written through the rare rows.

create table orchestration.letter_ends (
  id uuid primary key,
  agent_id uuid not null,
  letter_id bigint not null,
  state text not null check (state in ('replayed', 'discarded')),
  who text not null check (who <> ''),
  reason text not null check (reason <> ''),
  ended_at timestamp with time zone not null,
  unique (agent_id, letter_id)
);

-- migrate:down
-- forward only: restore a backup instead
