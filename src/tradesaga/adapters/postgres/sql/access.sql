-- api_tokens: all tokens of the API, in order of creation
select id, agent_id, name, digest, scopes, created_at, created_by, expires_at, revoked_at,
  last_used_at, version
from api_tokens where agent_id = $1 order by created_at, id;
