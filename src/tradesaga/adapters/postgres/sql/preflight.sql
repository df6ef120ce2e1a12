-- what_the_server_promises --
-- Everything that the start check judges, as the server itself sees it in this session.
select
    current_setting('server_version_num')::int as version_number,
    current_setting('server_version') as version,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('server_encoding') as encoding,
    current_setting('default_transaction_read_only') as read_only,
    pg_is_in_recovery() as in_recovery,
    current_user as user_name,
    current_database() as database_name,
    case
        when to_regnamespace($1::text) is null
            then has_database_privilege(current_database(), 'create')
        else has_schema_privilege($1::text, 'usage')
    end as may_work
