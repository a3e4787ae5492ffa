alter table idempotency add column made text;
