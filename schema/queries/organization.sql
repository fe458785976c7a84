-- Organizations. organization_get is the hottest read: one index look-up, the answer made in one pass.

-- name: organization_get :one
SELECT o.version::text AS version, CASE WHEN o.valid_to < today() OR o.valid_from > today() THEN organization_json(o) ELSE (SELECT row_to_json(r)::text FROM (
    SELECT o.id, o.code, o.name, o.kind,
      CASE WHEN p.id IS NOT NULL THEN jsonb_build_object('id', p.id, 'code', p.code, 'name', p.name, 'kind', p.kind)
        WHEN o.parent_id IS NOT NULL THEN organization_ref(o.parent_id) END AS parent,
      o.root_id, o.attached, o.made_up,
      (SELECT i ->> 'value' FROM json_array_elements(o.identifiers) i WHERE i ->> 'scheme' = 'statistics'
        AND i ->> 'valid_from' <= today()::text AND coalesce(i ->> 'valid_to', 'infinity') >= today()::text) AS area_code,
      o.identifiers, o.former, o.note, o.valid_from, o.valid_to, length(o.scope_key) / 6 - 1 AS depth,
      EXISTS (SELECT FROM organization c WHERE c.parent_id = o.id AND c.valid_from <= today()
        AND (c.valid_to IS NULL OR c.valid_to >= today())) AS has_children,
      o.version, tstz(o.created_at) AS created_at, tstz(o.updated_at) AS updated_at) r) END AS body
FROM organization o LEFT JOIN organization p ON p.id = o.parent_id
WHERE o.id = (SELECT CASE WHEN is_uuid(:organization) THEN :organization::uuid ELSE organization_id(:organization) END)

-- name: organization_get_on :one
SELECT o.version || ';' || :as_of::date AS version, organization_json_on(o, :as_of::date) AS body
FROM organization o WHERE o.id = (SELECT path_organization_on(:organization, :as_of::date))

-- name: organization_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM organization_create(:new_id, :body::jsonb, :request_id) c

-- name: organization_update :one
SELECT u.status, u.version, u.body_out AS body
FROM organization_update(:organization, :body::jsonb, :if_match, :request_id) u

-- name: organization_ancestors :one
SELECT organization_ancestors(o.id, shown_on(o.valid_from, o.valid_to)) AS body
FROM organization o WHERE o.id = (SELECT organization_id(:organization))

-- name: organization_ancestors_on :one
SELECT organization_ancestors(path_organization_on(:organization, :as_of::date), :as_of::date) AS body

-- name: organization_subtree :one
SELECT organization_subtree(o, coalesce(:depth::int, 2)) AS body
FROM organization o WHERE o.id = (SELECT organization_id(:organization))

-- name: organization_subtree_on :one
SELECT organization_subtree_on(path_organization_on(:organization, :as_of::date), coalesce(:depth::int, 2), :as_of::date) AS body

-- name: organization_list :list
-- id: o.id
-- sort tree: o.scope_key
-- sort code: o.code COLLATE "C"
-- sort created_at: o.created_at
-- filter kind: o.kind = $
-- filter kind[ne]: o.kind <> $
-- filter kind[in]: o.kind = ANY($::text[])
-- filter code: o.code COLLATE "C" = $
-- filter code[in]: o.code COLLATE "C" = ANY($::text[])
-- filter code[prefix]: o.code COLLATE "C" >= $ AND o.code COLLATE "C" < $ || '~'
-- filter identifier: o.id IN (SELECT i.organization_id FROM organization_identifier i WHERE i.value = substr($, strpos($, ':') + 1) AND i.scheme = split_part($, ':', 1) AND i.validity @> (SELECT today())) AND o.valid_from <= (SELECT today()) AND (o.valid_to IS NULL OR o.valid_to >= (SELECT today()))
-- filter attached: o.attached = $::boolean
-- filter valid_to[isnull]: (o.valid_to IS NULL) = $::boolean
-- filter under: o.scope_key >= (SELECT filter_key($, 'under')) AND o.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter parent: o.parent_id = (SELECT filter_organization($, 'parent'))
-- filter q: o.id = ANY (((SELECT filter_units($))).ids) OTHERWISE cardinality(((SELECT filter_units($))).patterns) > 0 AND coalesce(o.search LIKE ALL (((SELECT filter_units($))).patterns), false)
-- embed parent: organization_ref(o.parent_id) AS parent_organization
-- extra note: o.note
-- extra area_code: area_code_on(o.identifiers, today())
-- extra identifiers: o.identifiers
-- extra former: o.former
SELECT o.id, o.code, o.name, o.kind, (SELECT r.ref ->> 'code' FROM organization_ref(o.parent_id) r(ref)) AS parent,
  o.attached, o.made_up, o.valid_from, o.valid_to, o.version
FROM organization o
WHERE true

-- (OFFSET 0: each unit's stretch is looked up on its own, so that a page is read in the order of the tree.)
-- name: organization_list_on :list
-- id: o.id
-- sort tree: o.scope_key
-- sort code: o.code COLLATE "C"
-- sort created_at: o.created_at
-- filter kind: s.kind = $
-- filter kind[ne]: s.kind <> $
-- filter kind[in]: s.kind = ANY($::text[])
-- filter code: o.code COLLATE "C" = $
-- filter code[in]: o.code COLLATE "C" = ANY($::text[])
-- filter code[prefix]: o.code COLLATE "C" >= $ AND o.code COLLATE "C" < $ || '~'
-- filter identifier: o.id IN (SELECT i.organization_id FROM organization_identifier i WHERE i.value = substr($, strpos($, ':') + 1) AND i.scheme = split_part($, ':', 1) AND i.validity @> :as_of::date)
-- filter attached: o.attached = $::boolean
-- filter valid_to[isnull]: (o.valid_to IS NULL) = $::boolean
-- filter under: o.id IN (SELECT c.descendant_id FROM organization_closure c WHERE c.ancestor_id = (SELECT filter_organization($, 'under')) AND c.validity @> :as_of::date)
-- filter parent: s.parent_id = (SELECT filter_organization($, 'parent'))
-- filter q: o.id = ANY ((SELECT organization_search_on($, :as_of::date))::uuid[])
-- embed parent: organization_ref_on(s.parent_id, :as_of::date) AS parent_organization
-- extra note: o.note
-- extra area_code: area_code_on(o.identifiers, :as_of::date)
-- extra identifiers: o.identifiers
-- extra former: organization_former(o.id, :as_of::date)
SELECT o.id, o.code, s.name, s.kind,
  (SELECT r.ref ->> 'code' FROM organization_ref_on(s.parent_id, :as_of::date) r(ref)) AS parent,
  o.attached, o.made_up, o.valid_from, o.valid_to, o.version
FROM organization o CROSS JOIN LATERAL (SELECT x.name, x.kind, x.parent_id FROM organization_span x
  WHERE x.organization_id = o.id AND x.validity @> :as_of::date OFFSET 0) s
WHERE true

-- name: organization_children :list
-- id: o.id
-- sort tree: o.scope_key
SELECT o.id, o.code, o.name, o.kind, o.attached, o.made_up, o.valid_from, o.valid_to,
  EXISTS (SELECT FROM organization c WHERE c.parent_id = o.id AND c.valid_from <= (SELECT today())
    AND (c.valid_to IS NULL OR c.valid_to >= (SELECT today()))) AS has_children, o.version
FROM organization o
WHERE o.parent_id = (SELECT path_organization(:organization)) AND o.valid_from <= (SELECT today())
  AND (o.valid_to IS NULL OR o.valid_to >= (SELECT today()))

-- name: organization_children_on :list
-- id: o.id
-- sort tree: right(o.scope_key, 6) COLLATE "C"
SELECT o.id, o.code, s.name, s.kind, o.attached, o.made_up, o.valid_from, o.valid_to,
  EXISTS (SELECT FROM organization_span c WHERE c.parent_id = o.id AND c.validity @> :as_of::date) AS has_children, o.version
FROM organization o JOIN organization_span s ON s.organization_id = o.id AND s.validity @> :as_of::date
WHERE s.parent_id = (SELECT path_organization_on(:organization, :as_of::date))

-- name: organization_kind_list :list
-- id: k.code
-- sort position: k.position
SELECT k.code, k.name_vi, k.name_en
FROM organization_kind k
WHERE true

-- name: identifier_get :one
SELECT organization_json_on(o, d.day) AS body
FROM (SELECT coalesce(:as_of::date, today()) AS day) d, LATERAL identifier_organization(:scheme, :value, :kind, d.day) o
