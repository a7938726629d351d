ALTER TABLE "uploads" ADD COLUMN "presigned" jsonb DEFAULT '{}'::jsonb NOT NULL;
