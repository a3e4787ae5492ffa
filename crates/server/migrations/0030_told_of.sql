-- Since when the mail about a published response contains all of it (NOT-4); null while it does not.
alter table notification_setting add column whole_response_at bigint;
-- What people were told of readiness that lapsed, in JSON: for each item when, and whether it still lacks.
alter table onboarding add column lapses text;
