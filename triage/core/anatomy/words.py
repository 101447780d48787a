"""The words for the seven study types, by language.

They are written as a radiographer writes them; case, accents and ä or ae do
not matter, and a phrase is also found as one word (`text.spellings`). What a
study type takes in follows MURA's seven: collar bone, shoulder blade and the
joint between them go with the shoulder, the thumb with the fingers, the
metacarpus with the hand, the carpus and the distal ends of the forearm's bones
with the wrist, the proximal ones with the elbow.
"""

from triage.core.studytype import StudyType

WORDS: dict[StudyType, dict[str, str]] = {
    StudyType.SHOULDER: {
        "en": """shoulder, shoulders, shldr, shld, clavicle, clavicles, collar bone, collar bones,
            clav, scapula, scapulae, scapulas, shoulder blade, ac joint, ac joints, a c joint,
            a c joints, acj, acjs, acromion, coracoid, glenoid, grashey, garth view, west point,
            stryker notch, stryker view, zanca, velpeau, scapular y, scapula y, y view, neer view,
            supraspinatus outlet, outlet shoulder, axillary view, axillary lateral""",
        "de": """Schulter, Schultern, AC Gelenk, AC Gelenke, ACG, Akromion, Korakoid,
            Proc coracoideus, Schwedenstatus, Y Aufnahme, Clavicula, Klavikula, Claviculae""",
        "fr": """épaule, épaules, clavicule, clavicules, omoplate, omoplates, scapula, acromion,
            articulation acromio claviculaire, acromio claviculaire, profil de Lamy""",
        "es": """hombro, hombros, clavícula, clavículas, escápula, escápulas, omóplato, omoplato,
            articulación acromioclavicular, acromio clavicular""",
        "it": """spalla, spalle, clavicola, clavicole, scapola, scapole, acromion,
            articolazione acromion claveare, acromion claveare, acromionclavicolare""",
        "pt": """ombro, ombros, clavícula, clavículas, escápula, escápulas, omoplata, omoplatas,
            articulação acromioclavicular, acromio clavicular""",
    },
    StudyType.HUMERUS: {
        "en": "humerus, humeri, humeral, humeral head, head of humerus, upper arm, upper arms",
        "de": "Humerus, Oberarm, Oberarme, Oberarms",
        "fr": "bras, humérus, huméral, humérale",
        "es": "brazo, brazos, húmero, húmeros, humeral",
        "it": "braccio, braccia, omero, omeri, omerale",
        "pt": "braço, braços, úmero, úmeros, húmero",
    },
    StudyType.ELBOW: {
        "en": """elbow, elbows, elb, olecranon, radial head, radial heads, head of radius,
            radial neck, proximal radius, proximal ulna, capitellum, coronoid process of ulna""",
        "de": """Ellbogen, Ellenbogen, Radiuskopf, proximaler Radius, proximale Ulna,
            Caput radii, Kubitalgelenk""",
        "fr": "coude, coudes, olécrane, olécrâne, tête radiale, tête du radius",
        "es": """codo, codos, olécranon, cabeza radial, cabeza de radio, cabeza del radio,
            cúpula radial""",
        "it": "gomito, gomiti, olecrano, capitello radiale, testa del radio, testa radiale",
        "pt": "cotovelo, cotovelos, olécrano, olecrânio, cabeça do rádio, cabeça radial",
    },
    StudyType.FOREARM: {
        "en": """forearm, forearms, fore arm, fore arms, lower arm, lower arms, radius, radii, ulna,
            ulnae, radius and ulna, radius ulna, rad ulna, radioulnar""",
        "de": "Unterarm, Unterarme, Unterarms, Radius, Ulna, Elle, Speiche, Elle und Speiche",
        "fr": """avant bras, av bras, avt bras, avants bras, radius, ulna, cubitus, radius et cubitus, radius et ulna,
            deux os de l avant bras""",
        "es": """antebrazo, antebrazos, cúbito, cúbito y radio, radio y cúbito, ulna,
            radio y ulna""",
        "it": "avambraccio, avambracci, ulna, radio e ulna, radio ulna",
        "pt": "antebraço, antebraços, ulna, rádio e ulna, cúbito, rádio e cúbito",
    },
    StudyType.WRIST: {
        "en": """wrist, wrists, wrst, wrist joint, carpus, carpal, carpals, carpal bones,
            carpal tunnel, scaphoid, scaphoids, carpal navicular, navicular of wrist, lunate,
            pisiform, hamate, capitate bone, distal radius, distal ulna, distal forearm, druj,
            distal radioulnar joint, distal radio ulnar joint, radiocarpal, gaynor hart, stecher""",
        "de": """Handgelenk, Handgelenke, Handgelenks, Handwurzel, Carpus, Karpus, Karpalkanal,
            Kahnbein, Kahnbein Hand, Kahnbeinserie, Kahnbeinquartett, Skaphoid, Os scaphoideum,
            Os lunatum, Mondbein, distaler Radius, distale Ulna,
            Radius distal, Ulna distal, dist Radius, loco typico""",
        "fr": """poignet, poignets, carpe, carpien, carpienne, canal carpien, scaphoïde, scaphoïdes,
            os scaphoïde, semi lunaire, radius distal, extrémité distale du radius""",
        "es": """muñeca, muñecas, carpo, carpiano, túnel carpiano, escafoides,
            escafoides carpiano, radio distal, semilunar""",
        "it": """polso, polsi, carpo, carpale, carpali, tunnel carpale, scafoide,
            scafoide carpale, radio distale, semilunare""",
        "pt": """punho, punhos, pulso, pulsos, carpo, carpal, túnel do carpo, escafoide,
            escafóide, rádio distal, semilunar""",
    },
    StudyType.HAND: {
        "en": """hand, hands, metacarpal, metacarpals, metacarpus, metacarpal head, mc joint, mcp,
            mcps, mcp joint, mcp joints, bone age, norgaard, noergaard, ball catcher,
            ball catchers, ballcatcher, brewerton""",
        "de": """Hand, Hände, Haende, Handaufnahme, Handaufnahmen, Handskelett, Handknochen,
            Handröntgen, Handrücken, Handteller, Handfläche, Handserie, Handübersicht, Kinderhand,
            Metakarpale, Metacarpale, Knochenalter, Skelettalter, Zitherspieler,
            Zitherspieleraufnahme""",
        "fr": """main, mains, métacarpe, métacarpien, métacarpiens, métacarpienne, âge osseux,
            âge squelettique""",
        "es": """mano, manos, metacarpo, metacarpos, metacarpiano, metacarpianos, edad ósea""",
        "it": """mano, mani, metacarpo, metacarpi, metacarpale, metacarpali, età ossea""",
        "pt": """mão, mãos, metacarpo, metacarpos, metacarpal, metacarpiano, metacarpianos,
            idade óssea""",
    },
    StudyType.FINGER: {
        "en": """finger, fingers, fngr, thumb, thumbs, index finger, forefinger, middle finger,
            ring finger, little finger, fifth finger, digit of hand, digits of hand, hand digit,
            hand digits, phalanx of hand, phalanges of hand, digitus manus""",
        "de": """Finger, Fingers, Fingern, Daumen, Zeigefinger, Mittelfinger, Ringfinger,
            Kleinfinger, kleiner Finger, Dig manus, Digiti manus, Langfinger""",
        "fr": """doigt, doigts, doigt de la main, doigts de la main, pouce, pouces, index,
            annulaire, auriculaire, majeur, index de la main, index main, phalange de la main""",
        "es": """dedo, dedos, dedo de la mano, dedos de la mano, dedo mano, dedos mano, pulgar,
            pulgares, dedo pulgar, dedo índice, meñique""",
        "it": """dito, dita, dito della mano, dita della mano, dito mano, dita mano, pollice,
            pollici, mignolo, dito indice""",
        "pt": """dedo, dedos, dedo da mão, dedos da mão, dedo mão, dedos mão, polegar, polegares,
            quirodáctilo, quirodáctilos, quirodátilo, dedo indicador, dedo mínimo""",
    },
}

# Words for the limb or its kinds of bone, which leave the part open.
VAGUE = {
    "en": """arm, arms, limb, limbs, extremity, extremities, upper extremity, upper extremities,
        upper limb, upper limbs, up ext, u ext, upper ext, whole body, bone survey,
        skeletal survey, skeleton, digit, digits, phalanx, phalanges, navicular, sesamoid""",
    "de": """Arm, Arme, Arms, Extremität, Extremitäten, obere Extremität, obere Extremitäten,
        Skelett, Phalanx, Phalangen, Endglied, Mittelglied, Grundglied, Strahl, Dig, Digitus,
        Naviculare, Sesambein""",
    "fr": """membre supérieur, membres supérieurs, extrémité, extrémités, squelette, phalange,
        phalanges, membre""",
    "es": """miembro superior, miembros superiores, extremidad superior, extremidades superiores,
        extremidad, extremidades, falange, falanges, miembro, esqueleto""",
    "it": """arto superiore, arti superiori, arto, arti, estremità, estremità superiore, falange,
        falangi, scheletro""",
    "pt": """membro superior, membros superiores, extremidade, extremidades,
        extremidade superior, falange, falanges, membro, esqueleto""",
}

# Phrases in which a word of the tables means something else.
IGNORED = """hand held, hand injection, hand side, hand out, deux côtés, 2 côtés, tous côtés, de côté,
    second hand, hand over, arm chair, arm rest, sacred heart, cranio caudal, cranio caudale,
    caudo cranial, caudo craniale, caudo crânien, crânio caudal, craneo caudal, caudo craneal,
    kranio kaudal, kaudo kranial, cranial, kranial, trans thoracic, trans thorakal, trans thoracal,
    trans thoracique, trans torácico, trans torácica, trans toracico, trans toracica"""

# What a word begins or ends with. These are stems that no other word of the six
# languages has at its beginning or end; German compounds need them most
# (Handgelenksaufnahme, Daumenendglied, Unterarmschaftfraktur).
BEGINNINGS: dict[StudyType, dict[str, str]] = {
    StudyType.SHOULDER: {
        "en": "shoulder, glenohumer, coracoclavic",
        "de": """Schulter, Schlüsselbein, Clavicula, Klavikula, Skapula, Scapula, Akromio,
            Glenohumer, AC Gelenk""",
        "fr": "acromio, scapul, gléno",
        "es": "acromio, escapul",
        "it": "acromion, scapolo",
        "pt": "acromio, escapul",
    },
    StudyType.HUMERUS: {"de": "Oberarm, Humerus"},
    StudyType.ELBOW: {
        "en": "olecran",
        "de": "Ellbogen, Ellenbogen, Olekran, Radiusköpfchen, Radiuskopf, Speichenköpfchen",
        "fr": "olecran",
        "es": "olecran",
        "it": "olecran",
        "pt": "olecran",
    },
    StudyType.FOREARM: {
        "en": "forearm",
        "de": """Unterarm, Radiusschaft, Radiusfraktur, Ulnaschaft, Ulnafraktur, Speichen,
            Ellenschaft""",
    },
    StudyType.WRIST: {
        "en": "scaphoid, scapholunat, radiocarp, intercarp, carpometacarp",
        "de": """Handgelenk, Handwurzel, Karpal, Skaphoid, Kahnbein, Radiokarp""",
        "fr": "scaphoid, radiocarp",
        "it": "radiocarp",
        "es": "radiocarp",
        "pt": "radiocarp",
    },
    StudyType.HAND: {
        "en": "metacarpo",
        "de": "Mittelhand, Metakarp, Metacarp",
        "fr": "metacarpo",
        "es": "metacarpo",
        "it": "metacarpo",
        "pt": "metacarpo",
    },
    StudyType.FINGER: {
        "de": "Finger, Daumen, Zeigefinger, Mittelfinger, Ringfinger, Kleinfinger, Pollux",
    },
}
ENDINGS: dict[StudyType, dict[str, str]] = {
    StudyType.SHOULDER: {"de": "schulter"},
    StudyType.HUMERUS: {"de": "oberarm"},
    StudyType.ELBOW: {"de": "ellbogen, ellenbogen"},
    StudyType.FOREARM: {"de": "unterarm"},
    StudyType.WRIST: {"de": "handgelenk, handgelenke"},
    StudyType.FINGER: {"de": "finger, fingers, daumen"},
}

# Words that have another meaning, too: a *dedo*, *dito* or *doigt* may be a toe, the
# foot has a Kahnbein and the knee a semilunar cartilage, and vertebrae are taken in a Y view.
WEAK = """dedo, dedos, dedo mínimo, dito, dita, doigt, doigts, Kahnbein, scaphoïde, scaphoïdes,
    os scaphoïde, scafoide, escafoides, escafoide, semilunar, semilunare, semi lunaire, Y view,
    Y Aufnahme, west point, Elle"""

# French words that are English ones too. Beside a word that shows the text to be
# French they count; so does MAIN where all the others say nothing of the language,
# but weakly.
AMBIGUOUS = frozenset({"main", "index", "majeur"})
_FRENCH = """gauche droite droit gche dte du des le les profil radiographie radiographies
    radiographique trois comparatif comparatives doigt doigts poignet poignets pouce pouces coude
    coudes bras epaule epaules pied pieds enfant cliche cliches osseux avec"""
_NEUTRAL = """ap pa dp dv lat lateral obl oblique l r lt rt x xr cr dr dx f p g d de la et face rx
    radio incidence incidences mains"""
FRENCH = frozenset(_FRENCH.split())
NEUTRAL = frozenset(_NEUTRAL.split())
