"""The words for what lies outside the seven study types, by language.

They keep a knee from being scored as an elbow: an image is outside where they
are named, and a text that names a part of the seven beside them decides
nothing. HEAD, NECK and FACE are not here, because bones have heads and necks
and French radiographers take a hand *de face*.
"""

WORDS = {
    "en": """chest, thorax, rib, ribs, lung, lungs, sternum, sc joint, sc joints, mediastinum,
        sternoclavicular joint, sternoclavicular joints, abdomen, kub, pelvis, pelvic, hip, hips,
        femur, femurs, femora, femoral, thigh, thighs, knee, knees, patella, patellae, tibia,
        tibial, fibula, tib fib, tibia fibula, leg, legs, lower leg, lower legs, upper leg,
        leg length, ankle, ankles, foot, feet, forefoot, midfoot, hindfoot, toe, toes, great toe,
        big toe, heel, heels, os calcis, talus, tarsal, tarsus, hallux, navicular foot,
        tarsal navicular, lower extremity, lower extremities, lower limb, lower limbs, lower ext,
        spine, spinal, c spine, t spine, l spine, ls spine, scoliosis, sacrum, coccyx, tailbone,
        si joint, si joints, skull, facial bones, face bones, nasal bones, nasal bone, nose, orbit,
        orbits, sinus, sinuses, mandible, jaw, tmj, maxilla, zygoma, mastoid, tooth, teeth, dental,
        opg, orthopantomogram, breast, breasts, heart, liver, kidney, kidneys, bladder, stomach,
        colon, bowel, swallow, soft tissue neck, neck soft tissue, airway, phantom, calf""",
    "de": """Thorax, Brustkorb, Lunge, Lungen, Rippe, Rippen, Brustbein, SC Gelenk, SCG, Abdomen,
        Bauch, Becken, Hüfte, Hüften, Oberschenkel, Unterschenkel, Schenkelhals, Femur, Knie, Knies,
        Kniescheibe, Sprunggelenk, OSG, USG, Fuß, Fuss, Füße, Fusse, Vorfuß, Mittelfuß, Rückfuß,
        Ferse, Zehe, Zehen, Großzehe, Kleinzehe, Bein, Beine, Ganzbein, Wade, Kahnbein Fuß,
        Wirbelsäule, HWS, BWS, LWS, ISG, Kreuzbein, Steißbein, Schädel, NNH, Nasenbein,
        Nasennebenhöhlen, Kiefer, Unterkiefer, Oberkiefer, Kiefergelenk, Zahn, Zähne, OPG, OPTG,
        Jochbein, Orbita, Mamma, Mammae, untere Extremität, untere Extremitäten, Magen, Darm""",
    "fr": """thorax, poumon, poumons, côtes, gril costal, sternum, abdomen, asp, bassin, hanche,
        hanches, fémur, fémurs, cuisse, cuisses, genou, genoux, rotule, rotules, tibia, péroné,
        fibula, jambe, jambes, cheville, chevilles, pied, pieds, avant pied, orteil, orteils,
        doigt de pied, doigts de pied, gros orteil, calcanéum, talon, rachis, colonne, colonne
        vertébrale, sacrum, coccyx, crâne, os propres du nez, nez, mandibule, mâchoire, dent, dents,
        panoramique dentaire, seins, scaphoïde tarsien, membre inférieur, membres inférieurs, pangonogramme,
        estomac, face nez""",
    "es": """tórax, pecho, pulmón, pulmones, costilla, costillas, parrilla costal, esternón, abdomen,
        pelvis, cadera, caderas, fémur, muslo, muslos, rodilla, rodillas, rótula, rótulas, tibia,
        peroné, pierna, piernas, tobillo, tobillos, pie, pies, dedo del pie, dedos del pie,
        dedos de los pies, dedo de pie, dedos de pie, dedo pie, dedos pie, dedos pies, dedo gordo,
        dedo gordo del pie, calcáneo, talón, antepié, columna, columna vertebral, raquis, sacro,
        cóccix, coxis, cráneo, senos paranasales, huesos propios, nariz, mandíbula, maxilar, diente,
        dientes, ortopantomografía, mama, mamas, miembro inferior, miembros inferiores,
        extremidad inferior, extremidades inferiores, escafoides tarsiano""",
    "it": """torace, polmone, polmoni, coste, costole, emicostato, sterno, addome, bacino, anca,
        femore, femori, coscia, cosce, ginocchio, ginocchia, rotula, rotule, tibia, perone, gamba,
        gambe, caviglia, caviglie, piede, piedi, avampiede, dito del piede, dita del piede,
        dita dei piedi, dito piede, dita piede, alluce, alluci, calcagno, calcagni, tallone,
        rachide, colonna, colonna vertebrale, sacro, coccige, cranio, seni paranasali, ossa nasali,
        naso, mandibola, mascella, dente, denti, ortopantomografia, mammella, mammelle,
        arto inferiore, arti inferiori, scafoide tarsale""",
    "pt": """tórax, pulmão, pulmões, costela, costelas, arcos costais, esterno, abdome, abdómen,
        abdómen simples, bacia, pelve, quadril, quadris, anca, ancas, fémur, fêmur, coxa, coxas,
        joelho, joelhos, patela, patelas, rótula, tíbia, fíbula, perna, pernas, tornozelo,
        tornozelos, pé, pés, antepé, dedo do pé, dedos do pé, dedos dos pés, dedo pé, dedos pé,
        pododáctilo, pododáctilos, hálux, calcâneo, calcâneos, coluna, coluna vertebral, sacro,
        cóccix, crânio, seios da face, seios paranasais, nariz, mandíbula, maxilar, dente, dentes,
        panorâmica dentária, mama, mamas, membro inferior, membros inferiores""",
}

BEGINNINGS = {
    "en": """thorac, abdom, cervic, lumb, lumbosacr, sacr, coccy, vertebr, crani, mandib, mammo,
        metatars, calcan, sternoclav, esophag, pulmon, temporomandib, trochant, acetab""",
    "de": """Thorax, Thorak, Rippen, Abdom, Becken, Hüft, Knie, Oberschenkel, Unterschenkel,
        Schenkelhals, Sprunggelenk, Sprungbein, Fuß, Mittelfuß, Vorfuß, Rückfuß, Fersen, Zehen,
        Großzehen, Ganzbein, Beinachs, Beinlängen, Wirbel, Iliosakral, Sakro, Schädel, Nasenneben,
        Kiefer, Unterkiefer, Oberkiefer, Mammo, Metatars, Sternoklav, Zervik, Halswirbel,
        Brustwirbel, Lendenwirbel, Kreuzbein, Steißbein, Kniegelenk, Femur, Tibia, Patella, Lungen""",
    "fr": "vertébr, lomb, dorsolomb, cranio, métatars, mammograph, sterno, sacr, cervic",
    "es": "vertebr, lumbosacr, craneo, metatars, mamograf, esternoclav, dorsolumb",
    "it": "vertebr, lombosacr, lomb, metatars, mammograf, sternoclav, cervic, dorsolomb, toraco",
    "pt": "vertebr, lombossacr, lomb, metatars, mamograf, esternoclav, toraco",
}
ENDINGS = {"de": "fuß, füße, zehe, zehen, knie, wirbelsäule, schenkel, schädel"}
