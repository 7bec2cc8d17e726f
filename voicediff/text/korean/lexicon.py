"""Korean words whose pronunciation does not follow from their spelling.

A mark precedes the syllable whose onset it changes:

    +  the onset is tense            문+고리 [문꼬리]     articles 24, 26, 27, 28
    ~  ㄴ is inserted                솜~이불 [솜니불]     articles 29, 30
    |  word boundary                 맛|없 [마덥]         article 15, no palatalisation
    *  ㄹ becomes ㄴ                 의견*란 [의견난]     article 20, exceptions

An entry applies at the beginning of a word, and where the word ends after it or continues with a
particle (`MAY_FOLLOW`). Entries that begin with `^` apply anywhere, those that end with `$` only
where the word ends or continues with a particle.

The lists contain frequent words and are not complete. They cannot distinguish homographs (`잠자리`,
a place to sleep or a dragonfly; `신고`, wearing or a report; `안다`, to hug or to know), and miss
proper names and new compounds. For homographs they have the reading that is likelier in a song.
"""

from __future__ import annotations

TENSE, INSERT, APART, NASAL = MARKS = "+~|*"

#: article 26: ㄹ before ㄷ, ㅅ, ㅈ in Sino-Korean words
SINO_KOREAN = """
갈+등 갈+증 갈+색 결+단 결+단*력 결+석 결+승 결+실 결+심 결+정 굴+절 글+자 달+성 돌+진 돌+출 말+살 멸+종 몰+상식 몰+두 물+질 밀+접 밀+집
발+달 발+동 발+사 발+산 발+생 발+성 발+송 발+신 발+전 발+작 불+세출 불+소 설+득 설+사 설+정 설+중 솔+선 솔+직 실+수 실+습 실+시 실+정
실+제 실+종 실+존 실+질 실+적 실+전 실+상 실+성 실+신 실+속 열+대 열+등 열+성 열+심 열+전 열+정 열+중 울+적 월+세 월+등 율+동 일+단 일+당
일+대 일+등 일+상 일+생 일+손 일+시 일+식 일+정 일+제 일+종 일+주 일+지 일+직 전율+적 절+단 절+대 절+도 절+실 절+전 절+정 절+제
절+차 절+찬 질+서 질+소 질+식 질+주 철+도 철+새 철+수 철+저 철+제 출+동 출+산 출+생 출+석 출+세 출+신 출+전 출+제 출+장 출+중 칠+십 칠+석
^칠+십 ^팔+십 ^일+등 탈+선 탈+진 팔+십 필+사 필+수 필+승 할+당 할+증 혈+세 혈+색 혈+당 혈+전 활+동 활+달 활+자 활+주 삼일+절 칠+순 팔+순
팔+자 골+절 굴+신 멸+시 벌+점 술+수 실+세 알+선 발+상 설+전 불+순 불+신 불+시 불+사조 불+상 물+증 월+정 굴+지 열+사 열+세 멸+족 절+세
"""

#: articles 18, 23, 28: compounds whose first part is a modifier, and Sino-Korean words like them
COMPOUNDS = """
물+감 손+금 산+비탈 오솔+길 강+바닥 밤+송이 그믐+밤
문+고리 눈+동자 신+바람 산+새$ 손+재주 길+가$ 물+동이 발+바닥 굴+속 술+잔 바람+결 그믐+달 아침+밥 잠+자리 강+가$ 초승+달 등+불 창+살 강+줄기 눈+빛
달+빛 별+빛 불+빛 봄+빛 산+빛 물+빛 살+빛 금+빛 은+빛 하늘+빛 눈+길 손+길 발+길 물+길 불+길 산+길 들+길 밤+길 꿈+길 강+길 눈+병 봄+비
밤+비$ 가을+비 숨+소리 물+소리 발+소리 종+소리 말+소리 바람+소리 웃음+소리 울음+소리 총+소리 방울+소리 물+방울 솔+방울 눈물+방울 이슬+방울 물+결
숨+결 꿈+결 살+결 잠+결 꿈+속 가슴+속 마음+속 맘+속 물+속 산+속 품+속 땅+속 몸+속 구름+속 어둠+속 바람+속 강물+속 발+걸음 발+자국 발+가락
발+등 발+자취 손+가락 손+등 손+바닥 손+짓 손+수건 손+버릇 손+사래 몸+짓 눈+짓 눈+시울 눈+살 눈+사람 눈+송이 눈+가$ 눈+곱 안+방 건넌+방 산+골
산+봉우리 산+바람 강+바람 봄+바람 밤+바람 가을+바람 겨울+바람 골+바람 밤+바다 밤+거리 밤+공기 밤+사이 봄+밤 여름+밤 가을+밤 겨울+밤 오늘+밤 보름+달
물+고기 물+가$ 물+개$ 물+병 물+새$ 들+새$ 들+것 창+가$ 길+거리 밀+가루 콩+가루 일+거리 볼+거리 울음+바다 빵+집 술+집 장+바구니 방+바닥 땅+바닥 용+돈
별+자리 술+자리 꿈+자리 가운뎃+손가락 열+쇠 글+귀 달+밤 돌+부리 쌀+가루 쌀+독 알+사탕 줄+넘+기 김+밥 비빔+밥 길+바닥 들+바람 인+기$ 사+건
조+건 성+격 인+격 자+격 평+가 치+과 내+과 외+과 장+점 단+점 초+점 문+법 헌+법 인+권 공+권*력 주+권 만+점 승+점 감+점 안+간힘
열+두 열+둘 열+세 열+셋 열+다섯 곰+국 밤+손님 고향+길 인생+길 황혼+빛 노을+빛 등+살 산+등성 산+자락 물+장구 물+줄기 눈물+줄기 등+줄기 봄+동산
철+길
"""

#: article 29: ㄴ before 이, 야, 여, 요, 유; article 30 where the coda before it is the genitive ㅅ
INSERTION = """
늦~여름 눈~약 부산~역 강남~역
솜~이불 홑~이불 비단~이불 막~일 삯~일 들~일 밭~일 뒷~일 앞~일 옛~일 웬~일 별~일 볼~일 훗~일 집안~일 바깥~일 예삿~일 맨~입 한~입 첫~입
내복~약 물~약 알~약 두통~약 한~여름
첫~여름 남존~여비 신~여성 색~연필 직행~열차 급행~열차 늑막~염 콩~엿 물~엿 호박~엿 담~요 눈~요기 영업~용 식용~유 휘발~유 백분~율 이죽~이죽 야금~야금
검~열 욜랑~욜랑 금~융 설~익 불~여우 서울~역 유들~유들 밭~이랑 옛~이야기 뒷~이야기 낯~익 베갯~잇 도리깻~열 ^십~육 서른~여섯 스물~여섯 마흔~여섯
예순~여섯 일흔~여섯 여든~여섯 아흔~여섯 열~여섯 쉰~여섯 서른~여덟 스물~여덟 마흔~여덟 예순~여덟 일흔~여덟 여든~여덟 아흔~여덟 열~여덟 쉰~여덟 ^삼~연대
^일~연대 ^육~연대 한국~요리 부엌~일 색~유리 짓~이기 짓~이겨 헛~일
"""

#: article 15: an independent word follows
APART_WORDS = """
^젖|어미 ^맛|없 ^멋|없 겉|옷 윗|옷 웃|옷 홑|옷 헛|웃음 값|어치 값|있 ^맛|있 ^멋|있 첫|인상 첫|아이 첫|아기 첫|아들 첫|얼굴 끝|없 빛|없
덧|없 뜻|없 숲|안 옷|안 몇|월 몇|인 몇|울 팥|알 꽃|안 꽃|위 꽃|아래 무릎|위 무릎|아래 닭|앞 곧|이어 맏|형 맏|아들 밭|아래 부엌|안
"""

#: article 20, exceptions: ㄴ + ㄹ is [ㄴㄴ]
NASALS = """
의견*란 임진*란 생산*량 결+단*력 공+권*력 동원*령 상견*례 횡단*로 이원*론 입원*료 구근*류 판단*력 추진*력 표현*력 신문*로 등산*로 음운*론 보존*료
정신*력 순간*력 출연*료
"""

#: particles that may follow an entry that is not at the beginning of a word
MAY_FOLLOW = tuple(
    "이 가 을 를 은 는 에 의 도 만 과 와 로 으로 처럼 같 마다 까지 부터 보다 하 한 들 나 야 여 아 께 조차 마저".split()
)

#: article 24: stems that end in ㄴ, ㅁ with the endings that make them tense
STEMS = {
    "껴안 끌어안 얼싸안 부둥켜안 감싸안 더듬 다듬 쓰다듬 가다듬 머금 휘감 눈감 살아남 뛰어넘 젊 닮 굶 곪 옮": (
        "고 다 지 게 던 더 도록 거나 거든 거라 자 소 습"
    ),
    "안": "고 게 던 지 도록 거나 거든 자마자",
    "신": "고 다 지 던 거나 거든 도록",
    "감": "고 다 지 게 던 거나 거든",
    "남": "고 다 지 게 던 도록 거나 거든 더",
    "넘": "고 다 지 게 던 도록 거나 거든 더 자",
    "담": "고 다 지 게 던 도록 거나 거든",
    "숨": "고 다 지 게 던 도록 거나 거든 자",
    "품": "고 다 지 게 던 도록 거나 거든",
    "심": "고 다 지 던 도록 거나 거든",
    "삼": "고 다 지 던 도록 거나 거든",
    "검": "고 다 게 던 거나 거든 더",
    "참": "고 다 지 게 던 도록 거나 거든 더 자",
    "삶": "고 다 지 게 던 거나 거든",
}
#: nouns that look like stem and ending: a report, a reference and so on
NOT_STEMS = "신고하 신고서 신고식 신고를 신고가 참고하 참고서 참고로 참고인 감지하 감지기 감지된 감다운 남다른 남다르 심지어 담지체".split()
#: article 29: verbs after 못 without a blank; 못 (nail) with a particle, as 못이, has no insertion
VERBS_AFTER_NOT = "잊 이루 이룰 이룬 이뤄 이기 이겨 읽 입".split()
#: prefixes that may precede a short stem within its word
STEM_PREFIXES = "휘 되 가슴 갈아 주워 쓸어 옭아 살아 뛰어 타 넘어 눈 늘 받아 본".split()

#: article 11: stems that end in ㄺ, which is [ㄹ] before ㄱ
STEMS_RG = frozenset("맑밝읽늙굵긁묽얽붉낡갉옭")

#: article 27: syllables that end a future modifier, before any word
MODIFIERS = """
할 갈 올 볼 될 쓸 있을 없을 잡을 먹을 받을 않을 같을 좋을 싶을 많을 죽을 찾을 잊을 웃을 걸을 믿을 앉을 닿을 놓을 만날 떠날 나타날 일어날
살아날 빛날 깨어날 끝날 태어날 지낼 보낼 이룰 부를 흐를 모를 다룰 기다릴 들릴 그릴 내릴 버릴 드릴 가질 사라질 헤어질 지킬 보일 마실 가실 오실 하실 계실
주실 이어질 멀어질 잊혀질 느낄 돌아설
""".split()
#: article 27: dependent nouns
DEPENDENT = "것 거 걸 건 데 바 수 적 줄 듯 법 셈 곳 대로".split()
AFTER_DEPENDENT = (
    "이 가 을 를 은 는 도 만 에 의 과 와 처럼 같 까지 밖 야 라 예 다 인 였 조차 뿐 니".split()
)
#: article 27: endings after the ㄹ of the modifier; those of the second list after `MODIFIERS` only
ENDINGS_L = "세라 수록 지라도 지언정 진대 거야 거예 거라 거니".split()
ENDINGS_MODIFIER = "게 걸 지 밖에 것 거".split()

#: article 29: words before which ㄴ is inserted across a space
NOUNS_AFTER_BLANK = "엿 여섯 여덟 이불 잎 이야기 이파리 여름".split()
VERBS_AFTER_BLANK = (
    "읽 익는 익은 익어 익었 익다 입다 입고 입은 입어 입을 입던 입지 입는 입었 입혀 입히".split()
)
