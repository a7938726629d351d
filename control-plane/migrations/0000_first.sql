CREATE TABLE "accounts" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" text NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "accounts_name" UNIQUE("subscription_id","name"),
	CONSTRAINT "accounts_in_subscription" UNIQUE("subscription_id","id")
);
--> statement-breakpoint
ALTER TABLE "accounts" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "applications" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"account_id" uuid NOT NULL,
	"name" text NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"last_version" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "applications_name" UNIQUE("account_id","name"),
	CONSTRAINT "applications_in_subscription" UNIQUE("subscription_id","id")
);
--> statement-breakpoint
ALTER TABLE "applications" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "builds" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" text NOT NULL,
	"version" text NOT NULL,
	"platform" text NOT NULL,
	"digest" text NOT NULL,
	"size" bigint NOT NULL,
	"requires" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"status" text DEFAULT 'offered' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "builds_name" UNIQUE("name","version","platform")
);
--> statement-breakpoint
CREATE TABLE "deployments" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"account_id" uuid NOT NULL,
	"application_id" uuid NOT NULL,
	"site_id" uuid NOT NULL,
	"name" text NOT NULL,
	"path" text NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"settings" jsonb NOT NULL,
	"pool" jsonb NOT NULL,
	"probe" jsonb NOT NULL,
	"keep_warm" text NOT NULL,
	"bake_seconds" integer DEFAULT 60 NOT NULL,
	"live_release_id" uuid,
	"warm_release_id" uuid,
	"last_operation_id" uuid,
	"attempt" integer DEFAULT 0 NOT NULL,
	"baking" boolean DEFAULT false NOT NULL,
	"bake_until" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "deployments_path" UNIQUE("site_id","path"),
	CONSTRAINT "deployments_name" UNIQUE("account_id","name"),
	CONSTRAINT "deployments_in_subscription" UNIQUE("subscription_id","id")
);
--> statement-breakpoint
ALTER TABLE "deployments" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "fleet_packs" (
	"fleet_id" text NOT NULL,
	"pack" text NOT NULL,
	"incarnation" integer NOT NULL,
	CONSTRAINT "fleet_packs_fleet_id_pack_pk" PRIMARY KEY("fleet_id","pack")
);
--> statement-breakpoint
CREATE TABLE "fleets" (
	"id" text PRIMARY KEY NOT NULL,
	"tenancy" text NOT NULL,
	"region" text NOT NULL,
	"cell" text NOT NULL,
	"servers" integer NOT NULL,
	"status" text DEFAULT 'creating' NOT NULL,
	"revision" bigint DEFAULT 0 NOT NULL,
	"generation" bigint DEFAULT 0 NOT NULL,
	"balancer" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "observed_servers" (
	"fleet_id" text NOT NULL,
	"server" text NOT NULL,
	"etag" text NOT NULL,
	"report" jsonb NOT NULL,
	"reported_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "observed_servers_fleet_id_server_pk" PRIMARY KEY("fleet_id","server")
);
--> statement-breakpoint
CREATE TABLE "servers" (
	"fleet_id" text NOT NULL,
	"server" text NOT NULL,
	"zone" text NOT NULL,
	"state" text NOT NULL,
	"seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "servers_fleet_id_server_pk" PRIMARY KEY("fleet_id","server")
);
--> statement-breakpoint
CREATE TABLE "operations" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"deployment_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"release_id" uuid,
	"state" text DEFAULT 'queued' NOT NULL,
	"reason" jsonb,
	"blocker" text,
	"attempt" integer DEFAULT 0 NOT NULL,
	"created_by" uuid,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"state_since" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp (3) with time zone,
	"finished_at" timestamp (3) with time zone,
	"steps" jsonb DEFAULT '[]'::jsonb NOT NULL
);
--> statement-breakpoint
ALTER TABLE "operations" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "audit_entries" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"subscription_id" uuid,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"actor_kind" text NOT NULL,
	"action" text NOT NULL,
	"object" text,
	"outcome" text NOT NULL,
	"detail" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"request_id" text,
	"source" text
);
--> statement-breakpoint
ALTER TABLE "audit_entries" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"user_id" uuid NOT NULL,
	"key" uuid NOT NULL,
	"route" text NOT NULL,
	"request_digest" text NOT NULL,
	"response" jsonb,
	"replay_refusal" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_user_id_key_pk" PRIMARY KEY("user_id","key")
);
--> statement-breakpoint
CREATE TABLE "releases" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"deployment_id" uuid NOT NULL,
	"version" integer NOT NULL,
	"build_id" uuid NOT NULL,
	"intent" jsonb NOT NULL,
	"tuple" jsonb,
	"digest" text,
	"status" text DEFAULT 'requested' NOT NULL,
	"reason" jsonb,
	"package_digest" text,
	"incarnation" integer DEFAULT 1 NOT NULL,
	"fleet_id" text,
	"was_live" boolean DEFAULT false NOT NULL,
	"live_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "releases" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "schedule_items" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"deployment_id" uuid NOT NULL,
	"version" integer NOT NULL,
	"build_id" uuid NOT NULL,
	"logging_level" text DEFAULT 'information' NOT NULL,
	"starts_at" timestamp (3) with time zone NOT NULL,
	"ends_at" timestamp (3) with time zone,
	"activated_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"operation_id" uuid,
	"created_by" uuid NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "schedule_items" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "host_names" (
	"subscription_id" uuid NOT NULL,
	"host" text PRIMARY KEY NOT NULL,
	"site_id" uuid NOT NULL,
	"generated" boolean NOT NULL
);
--> statement-breakpoint
ALTER TABLE "host_names" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "sites" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" text NOT NULL,
	"region" text NOT NULL,
	"tenancy" text DEFAULT 'public' NOT NULL,
	"fleet_id" text,
	"status" text DEFAULT 'active' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "sites_name" UNIQUE("subscription_id","name"),
	CONSTRAINT "sites_in_subscription" UNIQUE("subscription_id","id")
);
--> statement-breakpoint
ALTER TABLE "sites" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "subscriptions" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" text NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"primary_contact_id" uuid NOT NULL,
	"keys_made_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "subscriptions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "uploads" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"application_id" uuid NOT NULL,
	"created_by" uuid NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"wrapped_key" "bytea" NOT NULL,
	"manifest" text,
	"packs" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"files" integer NOT NULL,
	"bytes" bigint NOT NULL,
	"note" text,
	"deploy" jsonb,
	"number" integer,
	"schedule_item_id" uuid,
	"refusal_code" text,
	"refusal_message" text,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "uploads" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "grants" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"user_id" uuid NOT NULL,
	"role" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "one_grant_of_a_role" UNIQUE("user_id","subscription_id","role")
);
--> statement-breakpoint
ALTER TABLE "grants" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"user_id" uuid NOT NULL,
	"token_hash" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"email" text NOT NULL,
	"name" text NOT NULL,
	"password_hash" text NOT NULL,
	"operator" boolean DEFAULT false NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "users_email_unique" UNIQUE("email")
);
--> statement-breakpoint
CREATE TABLE "version_packs" (
	"subscription_id" uuid NOT NULL,
	"version_id" uuid NOT NULL,
	"pack" text NOT NULL,
	"bytes" bigint NOT NULL,
	CONSTRAINT "version_packs_version_id_pack_pk" PRIMARY KEY("version_id","pack")
);
--> statement-breakpoint
ALTER TABLE "version_packs" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "versions" (
	"subscription_id" uuid NOT NULL,
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"application_id" uuid NOT NULL,
	"number" integer NOT NULL,
	"manifest" text NOT NULL,
	"kind" text NOT NULL,
	"files" integer NOT NULL,
	"bytes" bigint NOT NULL,
	"note" text,
	"published_by" uuid NOT NULL,
	"upload_id" uuid NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "versions_upload_id_unique" UNIQUE("upload_id"),
	CONSTRAINT "versions_number" UNIQUE("application_id","number"),
	CONSTRAINT "versions_in_subscription" UNIQUE("subscription_id","id")
);
--> statement-breakpoint
ALTER TABLE "versions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "applications" ADD CONSTRAINT "applications_account" FOREIGN KEY ("subscription_id","account_id") REFERENCES "public"."accounts"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "deployments" ADD CONSTRAINT "deployments_account" FOREIGN KEY ("subscription_id","account_id") REFERENCES "public"."accounts"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "deployments" ADD CONSTRAINT "deployments_application" FOREIGN KEY ("subscription_id","application_id") REFERENCES "public"."applications"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "deployments" ADD CONSTRAINT "deployments_site" FOREIGN KEY ("subscription_id","site_id") REFERENCES "public"."sites"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "fleet_packs" ADD CONSTRAINT "fleet_packs_fleet_id_fleets_id_fk" FOREIGN KEY ("fleet_id") REFERENCES "public"."fleets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "observed_servers" ADD CONSTRAINT "observed_servers_fleet_id_fleets_id_fk" FOREIGN KEY ("fleet_id") REFERENCES "public"."fleets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "servers" ADD CONSTRAINT "servers_fleet_id_fleets_id_fk" FOREIGN KEY ("fleet_id") REFERENCES "public"."fleets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "operations" ADD CONSTRAINT "operations_deployment" FOREIGN KEY ("subscription_id","deployment_id") REFERENCES "public"."deployments"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "releases" ADD CONSTRAINT "releases_build_id_builds_id_fk" FOREIGN KEY ("build_id") REFERENCES "public"."builds"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "releases" ADD CONSTRAINT "releases_fleet_id_fleets_id_fk" FOREIGN KEY ("fleet_id") REFERENCES "public"."fleets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "releases" ADD CONSTRAINT "releases_deployment" FOREIGN KEY ("subscription_id","deployment_id") REFERENCES "public"."deployments"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "schedule_items" ADD CONSTRAINT "schedule_items_build_id_builds_id_fk" FOREIGN KEY ("build_id") REFERENCES "public"."builds"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "schedule_items" ADD CONSTRAINT "schedule_items_deployment" FOREIGN KEY ("subscription_id","deployment_id") REFERENCES "public"."deployments"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "host_names" ADD CONSTRAINT "host_names_site" FOREIGN KEY ("subscription_id","site_id") REFERENCES "public"."sites"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sites" ADD CONSTRAINT "sites_fleet_id_fleets_id_fk" FOREIGN KEY ("fleet_id") REFERENCES "public"."fleets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD CONSTRAINT "subscriptions_primary_contact_id_users_id_fk" FOREIGN KEY ("primary_contact_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "uploads" ADD CONSTRAINT "uploads_application" FOREIGN KEY ("subscription_id","application_id") REFERENCES "public"."applications"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "grants" ADD CONSTRAINT "grants_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "version_packs" ADD CONSTRAINT "version_packs_version" FOREIGN KEY ("subscription_id","version_id") REFERENCES "public"."versions"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "versions" ADD CONSTRAINT "versions_application" FOREIGN KEY ("subscription_id","application_id") REFERENCES "public"."applications"("subscription_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "one_open_operation_per_deployment" ON "operations" USING btree ("deployment_id") WHERE state in ('queued', 'preparing', 'switching');--> statement-breakpoint
CREATE INDEX "operations_of_deployment" ON "operations" USING btree ("deployment_id","created_at");--> statement-breakpoint
CREATE INDEX "audit_entries_of_subscription" ON "audit_entries" USING btree ("subscription_id","id");--> statement-breakpoint
CREATE INDEX "releases_of_deployment" ON "releases" USING btree ("deployment_id","created_at");--> statement-breakpoint
CREATE INDEX "releases_by_status" ON "releases" USING btree ("status","created_at");--> statement-breakpoint
CREATE INDEX "schedule_items_of_deployment" ON "schedule_items" USING btree ("deployment_id","starts_at");--> statement-breakpoint
CREATE INDEX "host_names_of_site" ON "host_names" USING btree ("site_id");--> statement-breakpoint
CREATE INDEX "sites_of_fleet" ON "sites" USING btree ("fleet_id");--> statement-breakpoint
CREATE INDEX "uploads_by_state" ON "uploads" USING btree ("state","created_at");--> statement-breakpoint
CREATE INDEX "sessions_of_user" ON "sessions" USING btree ("user_id");--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "accounts" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "applications" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "deployments" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "operations" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "own_entries_are_added" ON "audit_entries" AS PERMISSIVE FOR INSERT TO "berth_api" WITH CHECK (case when subscription_id is null then true else subscription_id = current_setting('app.subscription_id')::uuid end);--> statement-breakpoint
CREATE POLICY "own_entries_are_read" ON "audit_entries" AS PERMISSIVE FOR SELECT TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "releases" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "schedule_items" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "host_names" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "sites" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "subscriptions" AS PERMISSIVE FOR ALL TO "berth_api" USING (id = current_setting('app.subscription_id')::uuid) WITH CHECK (id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "uploads" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "grants" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "version_packs" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);--> statement-breakpoint
CREATE POLICY "subscription_isolation" ON "versions" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id = current_setting('app.subscription_id')::uuid) WITH CHECK (subscription_id = current_setting('app.subscription_id')::uuid);