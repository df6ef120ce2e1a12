-- api_tokens: all tokens of the API, in order of creation
select id, agent_id, name, digest, scopes, created_at, created_by, expires_at, revoked_at,
  last_used_at, version
from api_tokens where agent_id = $1 order by created_at, id;

-- kept_answer: a command that was taken under its key, with its answer if that is known
select id, agent_id, token_id, operation, fingerprint, taken_at, status, media_type, body, withheld,
  version
from kept_answers where agent_id = $1 and id = $2;

-- log_end: the sequence at which an agent's log ends
select seq from heads where agent_id = $1;
