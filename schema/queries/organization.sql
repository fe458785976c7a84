-- Organizations. organization_get is the hottest read: one index look-up, the answer made in one pass.

-- name: organization_get :one
SELECT o.version::text AS version, (SELECT row_to_json(r)::text FROM (
    SELECT o.id, o.code, o.name, o.kind,
      CASE WHEN p.id IS NOT NULL THEN jsonb_build_object('id', p.id, 'code', p.code, 'name', p.name, 'kind', p.kind)
        WHEN o.parent_id IS NOT NULL THEN organization_ref(o.parent_id) END AS parent,
      o.root_id, o.attached, o.made_up,
      (SELECT i ->> 'value' FROM json_array_elements(o.identifiers) i WHERE i ->> 'scheme' = 'statistics'
        AND i ->> 'valid_from' <= today()::text AND coalesce(i ->> 'valid_to', 'infinity') >= today()::text) AS area_code,
      o.identifiers, o.former, o.note, o.valid_from, o.valid_to,
      length(o.scope_key) / 6 - 1 AS depth, EXISTS (SELECT FROM organization c WHERE c.parent_id = o.id) AS has_children,
      o.version, tstz(o.created_at) AS created_at, tstz(o.updated_at) AS updated_at) r) AS body
FROM organization o LEFT JOIN organization p ON p.id = o.parent_id
WHERE o.id = (SELECT CASE WHEN is_uuid(:organization) THEN :organization::uuid ELSE organization_id(:organization) END)

-- name: organization_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM organization_create(:new_id, :body::jsonb, :request_id) c

-- name: organization_update :one
SELECT u.status, u.version, u.body_out AS body
FROM organization_update(:organization, :body::jsonb, :if_match, :request_id) u

-- name: organization_ancestors :one
SELECT organization_ancestors(o.id) AS body
FROM organization o WHERE o.id = (SELECT organization_id(:organization))

-- name: organization_subtree :one
SELECT organization_subtree(o, coalesce(:depth::int, 2)) AS body
FROM organization o WHERE o.id = (SELECT organization_id(:organization))

-- name: organization_list :list
-- id: o.id
-- sort tree: o.scope_key
-- sort code: o.code COLLATE "C"
-- sort created_at: o.created_at
-- filter kind: o.kind = $
-- filter kind[ne]: o.kind <> $
-- filter kind[in]: o.kind = ANY($::text[])
-- filter code: o.code = $
-- filter code[in]: o.code = ANY($::text[])
-- filter code[prefix]: o.code COLLATE "C" >= $ AND o.code COLLATE "C" < $ || '~'
-- filter identifier: o.id IN (SELECT i.organization_id FROM organization_identifier i WHERE i.value = split_part($, ':', 2) AND i.scheme = split_part($, ':', 1) AND i.validity @> today())
-- filter attached: o.attached = $::boolean
-- filter valid_to[isnull]: (o.valid_to IS NULL) = $::boolean
-- filter under: o.scope_key >= (SELECT filter_key($, 'under')) AND o.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter parent: o.parent_id = (SELECT filter_organization($, 'parent'))
-- filter q: o.id = ANY ((SELECT organization_search($))::uuid[])
-- embed parent: organization_ref(o.parent_id) AS parent_organization
SELECT o.id, o.code, o.name, o.kind, (SELECT r.ref ->> 'code' FROM organization_ref(o.parent_id) r(ref)) AS parent,
  o.attached, o.made_up, o.valid_from, o.valid_to, o.version
FROM organization o
WHERE true

-- name: organization_children :list
-- id: o.id
-- sort tree: o.scope_key
SELECT o.id, o.code, o.name, o.kind, o.attached, o.made_up, o.valid_from, o.valid_to,
  EXISTS (SELECT FROM organization c WHERE c.parent_id = o.id) AS has_children, o.version
FROM organization o
WHERE o.parent_id = (SELECT path_organization(:organization))

-- name: organization_kind_list :list
-- id: k.code
-- sort position: k.position
SELECT k.code, k.name_vi, k.name_en
FROM organization_kind k
WHERE true
