alter table idempotency add column claim text;
