-- The words of the lists name what organisations do, make and use. None of them opens a place for the public's persons, opinions, complaints or
-- accounts, nor for watching them: such a word is refused, whoever adds it.
SET search_path = tiendo, public;

-- What no word of a list says, as it is written with its marks. What a press agency writes itself is no opinion of the public's: a commentary, a commentator.
CREATE FUNCTION campaign_limit_words() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ' (' || concat_ws('|', 'dư luận', 'khiếu nại', 'tố cáo', 'tố giác', 'đơn thư', 'tâm trạng', 'tư tưởng nhân dân', 'theo dõi tài khoản', 'tài khoản cá nhân',
    '(?<! (bài|bài viết|chuyên mục|chuyên trang|tiết mục|chương trình) )bình luận(?! (viên|thời sự|chính trị|quốc tế|kinh tế))',
    'đối tượng chống đối', 'danh sách( [^ ]+){0,3} (người|đối tượng|cá nhân|công dân|hộ dân|hộ gia đình|vi phạm|tài khoản)',
    -- what the public says, and where it says it
    '(phản ánh|phản ảnh|kiến nghị|ý kiến|góp ý|bình luận|nguyện vọng|tâm tư|thắc mắc|bức xúc|tài khoản)( (?!(trong|đến|tới|cho|với|vì|để|phục|bằng) )[^ ]+){0,6}'
      || ' (người dân|nhân dân|công dân|quần chúng|cư dân|bà con|cử tri|bạn đọc|khán giả|người dùng|cá nhân)') || ') ' $$;
CREATE FUNCTION campaign_limit_words_en() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ' (opinions?|sentiments?|complaints?|petitions?|denunciations?|watch ?lists?|comments?|personal accounts?|surveillance'
    || '|(feedback|accounts?|lists?) (of|from|by) (the )?(public|people|persons?|citizens?|residents?|individuals?|offenders?|violators?)) ' $$;
-- A text as single small words, whatever the database's locale knows of letters; the offices whose names end so are not the people itself.
CREATE FUNCTION campaign_limit_text(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = tiendo, public, pg_temp AS $$
  SELECT regexp_replace(' ' || regexp_replace(lower(translate(normalize(t, NFC),
    'ÀÁÂÃÈÉÊÌÍÎÒÓÔÕÙÚÛÝĂĔĨĬŎŨŬŶƠƯẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸĐ',
    'àáâãèéêìíîòóôõùúûýăĕĩĭŏũŭŷơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹđ')), '[][\s!-/:-@\\^-`{-~«»“”‘’…–—·•]+', ' ', 'g') || ' ',
    ' (hội đồng|ủy ban|uỷ ban|quân đội|công an|tòa án|toà án|viện kiểm sát|báo|tín dụng) nhân dân(?= )', ' cơ quan', 'g') $$;
-- A name is judged with its marks, which tell tố cáo from tờ cao; a code, and a name that is written without any, by its bare letters.
CREATE FUNCTION campaign_term_within_limits(code text, name text, name_en text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  SET search_path = tiendo, public, pg_temp AS $$
  SELECT coalesce(bool_and(x.words !~ campaign_limit_words() AND x.bare !~ campaign_limit_words_en()
      AND (x.words <> x.bare OR replace(x.bare, ' to cao cap ', ' ') !~ fold(campaign_limit_words()))), true)
  FROM (SELECT w.words, fold(w.words) AS bare FROM unnest(ARRAY[replace(code, '_', ' '), name, name_en]) t, LATERAL (SELECT campaign_limit_text(t) AS words) w
    WHERE t IS NOT NULL) x $$;
ALTER TABLE campaign_term ADD CONSTRAINT campaign_term_limits CHECK (campaign_term_within_limits(code, name, name_en));
COMMENT ON CONSTRAINT campaign_term_limits ON campaign_term IS '422 outside_limits #/name';
GRANT EXECUTE ON FUNCTION campaign_limit_words(), campaign_limit_words_en(), campaign_limit_text(text), campaign_term_within_limits(text, text, text) TO tiendo_service;
