-- migrate:up
-- Commands that came with an Idempotency-Key, each with its answer once that is known.

create table orchestration.kept_answers (
  id uuid primary key,
  agent_id uuid not null,
  token_id text not null,
  operation text not null,
  fingerprint text not null,
  taken_at timestamp with time zone not null,
  status integer,
  media_type text not null,
  body text not null,
  withheld boolean not null,
  version bigint not null
);
create index kept_answers_old on orchestration.kept_answers (agent_id, taken_at);

-- migrate:down
-- forward only: restore a backup instead
