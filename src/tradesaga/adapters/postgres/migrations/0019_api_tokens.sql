-- migrate:up
-- Tokens of the API: who they are for and what they may do. The secret is kept nowhere.

create table orchestration.api_tokens (
  id uuid primary key,
  agent_id uuid not null,
  name text not null check (name <> ''),
  digest text not null unique check (digest ~ '^[0-9a-f]{64}$'),
  scopes json not null,
  created_at timestamp with time zone not null,
  created_by text not null,
  expires_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  last_used_at timestamp with time zone,
  version bigint not null
);
create index api_tokens_of on orchestration.api_tokens (agent_id, created_at);

-- migrate:down
-- forward only: restore a backup instead
