/*
 * Device libraries of all backends: the intrinsics of ir/intrinsics.def. What stands in front of
 * this text defines LIBRARY, which begins a function, and the bits of floats; it includes nothing
 * and is C and C++ at once. The f32 forms are
 * branch-free, so that loops over them become vector code, and within 2 ulp (tests/unit/
 * test_device_math.c goes through all floats). Coefficients are weighted minimax fits (Lawson's
 * iteration) made for these forms and ranges; reductions follow Cody and Waite, "Software
 * Manual for the Elementary Functions", 1980.
 */
LIBRARY float m_abs_f32(float a)
{
    return __builtin_fabsf(a);
}
LIBRARY float m_sqrt_f32(float a)
{
    return __builtin_sqrtf(a);
}
LIBRARY float m_rsqrt_f32(float a)
{
    return 1.0f / __builtin_sqrtf(a);
}
LIBRARY float m_floor_f32(float a)
{
    return __builtin_floorf(a);
}
LIBRARY float m_round_f32(float a)
{
    return __builtin_rintf(a);
}
LIBRARY int m_isfinite_f32(float a)
{
    return (bits_of_f32(a) & 0x7f800000) != 0x7f800000;
}
LIBRARY float m_max_f32(float a, float b)
{
    return a > b ? a : b;
}
LIBRARY float m_min_f32(float a, float b)
{
    return a < b ? a : b;
}
LIBRARY float m_mod_f32(float a, float b)
{
    return a - b * __builtin_floorf(a / b);
}

/* 2^n for -126 <= n <= 127. */
LIBRARY float m_power_of_two(int n)
{
    return f32_of_bits((rt_u32)(n + 127) << 23);
}

/* exp(x) = 2^n * exp(r), |r| <= ln 2 / 2; 2^n in two factors, so that subnormals come out. */
LIBRARY float m_exp_f32(float a)
{
    float x = a > 89.0f ? 89.0f : a;
    x = x < -104.0f ? -104.0f : x;
    float n = __builtin_rintf(x * 1.44269504f);
    float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    float p = (((0.00139505975f * r + 0.00836895406f) * r + 0.041666206f) * r + 0.166665182f) * r;
    p = ((p + 0.5f) * r) * r + r;
    int whole = (int)n, half = whole >> 1;
    return (p + 1.0f) * m_power_of_two(half) * m_power_of_two(whole - half);
}

/* log(x) = e ln 2 + log(1 + f), 1 + f in [sqrt 1/2, sqrt 2). */
LIBRARY float m_log_f32(float a)
{
    float scaled = a < 0x1p-126f ? a * 0x1p24f : a;
    rt_i32 bits = (rt_i32)bits_of_f32(scaled);
    rt_i32 e = (rt_i32)((rt_u32)bits - 0x3f3504f3u) >> 23;
    float f = f32_of_bits((rt_u32)bits - ((rt_u32)e << 23)) - 1.0f;
    float n = (float)(a < 0x1p-126f ? e - 24 : e);
    float p = 0.0691529065f;
    p = p * f - 0.117897682f;
    p = p * f + 0.118729904f;
    p = p * f - 0.123843558f;
    p = p * f + 0.142186567f;
    p = p * f - 0.16669251f;
    p = p * f + 0.200022265f;
    p = p * f - 0.249999866f;
    p = p * f + 0.333333105f;
    float square = f * f;
    float low = (p * f) * square + (n * 0x1.7f7d1cp-20f - 0.5f * square);
    float result = n * 0x1.62e4p-1f + (low + f);
    result = a > 0 ? result : a == 0 ? -m_infinity : __builtin_nanf("");
    return a < m_infinity ? result : a;
}

LIBRARY float m_sigmoid_f32(float a)
{
    float e = m_exp_f32(-__builtin_fabsf(a)), d = 1.0f + e;
    float lost = e - (d - 1.0f); /* of the sum; its share of the quotient is taken back */
    float q = (a < 0 ? e : 1.0f) / d;
    return q - q * lost * (1.46f - 0.5f * d);
}

LIBRARY float m_tanh_f32(float a)
{
    float t = __builtin_fabsf(a), z = a * a;
    float p = 0.00206465786f;
    p = p * z - 0.00809195917f;
    p = p * z + 0.0216663424f;
    p = p * z - 0.0539405607f;
    p = p * z + 0.133331582f;
    p = p * z - 0.333333284f;
    float near = (p * z) * a + a;
    float far = 1.0f - 2.0f / (m_exp_f32(2.0f * t) + 1.0f);
    return t < 0.65f ? near : __builtin_copysignf(far, a);
}

/* Below 1 a polynomial in a^2; above, 1 - exp(Q(t) - t^2). */
LIBRARY float m_erf_f32(float a)
{
    float t = __builtin_fabsf(a), z = a * a;
    float p = 7.88911493e-05f;
    p = p * z - 0.000802083989f;
    p = p * z + 0.00518953521f;
    p = p * z - 0.0268544443f;
    p = p * z + 0.112836003f;
    p = p * z - 0.37612626f;
    p = p * z + 0.128379166f;
    float near = p * a + a;
    t = t > 4.0f ? 4.0f : t;
    float q = 1.40060408e-07f;
    q = q * t - 2.37018394e-05f;
    q = q * t + 0.000453771354f;
    q = q * t - 0.00424756529f;
    q = q * t + 0.0252994336f;
    q = q * t - 0.108539984f;
    q = q * t + 0.366879284f;
    q = q * t - 1.12962389f;
    q = q * t + 0.000197004672f;
    float far = 1.0f - m_exp_f32(q - t * t);
    return t < 1.0f ? near : __builtin_copysignf(far, a);
}

/* The angle a - k pi/2 and k mod 4, in double, for |a| <= 2^29; beyond, a value in [-1, 1]. */
LIBRARY float m_angle(float a, int *out_quadrant)
{
    double x = a, k = __builtin_rint(x * 0.63661977236758134);
    k = k < 1e9 ? k : 1e9;
    k = k > -1e9 ? k : -1e9;
    double r = ((x - k * 0x1.921fb4p+0) - k * 0x1.4442dp-24) - k * 0x1.8469898cc517p-48;
    r = r > 0.8 ? 0.8 : r;
    r = r < -0.8 ? -0.8 : r;
    *out_quadrant = (int)k;
    return (float)r;
}

LIBRARY float m_sine(float r, int quadrant)
{
    float z = r * r;
    float s = ((2.71793965e-06f * z - 0.000198392954f) * z + 0.00833332911f) * z - 0.166666672f;
    float c = ((-2.72067865e-07f * z + 2.47994794e-05f) * z - 0.00138888834f) * z + 0.0416666679f;
    s = (s * z) * r + r;
    c = c * (z * z) + (1.0f - 0.5f * z);
    float result = quadrant & 1 ? c : s;
    return quadrant & 2 ? -result : result;
}

LIBRARY float m_sin_f32(float a)
{
    int quadrant;
    float r = m_angle(a, &quadrant);
    float result = m_sine(r, quadrant);
    return a - a == 0 ? result : a - a;
}

LIBRARY float m_cos_f32(float a)
{
    int quadrant;
    float r = m_angle(a, &quadrant);
    float result = m_sine(r, quadrant + 1);
    return a - a == 0 ? result : a - a;
}

/* |a|^b in double: exp(b log |a|), log by the series in (m - 1) / (m + 1). */
LIBRARY float m_pow_positive(float a, float b)
{
    float scaled = a < 0x1p-126f ? a * 0x1p24f : a;
    rt_i32 bits = (rt_i32)bits_of_f32(scaled);
    rt_i32 e = (rt_i32)((rt_u32)bits - 0x3f3504f3u) >> 23;
    double m = f32_of_bits((rt_u32)bits - ((rt_u32)e << 23));
    double n = a < 0x1p-126f ? e - 24 : e;
    double s = (m - 1) / (m + 1), z = s * s;
    double p = ((((0.168214526917 * z + 0.181235124548) * z + 0.222233755139) * z +
                 0.28571417079105338) * z + 0.40000000052562767) * z + 0.66666666666586705;
    double y = b * (n * 0.693147180559945309 + ((p * z) * s + 2 * s));
    y = y > 120 ? 120 : y;
    y = y < -120 ? -120 : y;
    double k = __builtin_rint(y * 1.4426950408889634);
    double r = y - k * 0.693147180559945309;
    double q = 2.7636612e-07;
    q = q * r + 2.76354797e-06;
    q = q * r + 2.48014752e-05;
    q = q * r + 0.00019841184084;
    q = q * r + 0.00138888889606;
    q = q * r + 0.00833333337171;
    q = q * r + 0.041666666666469;
    q = q * r + 0.166666666666566;
    q = q * r + 0.5;
    union {
        rt_i64 bits;
        double real;
    } power;
    power.bits = (rt_i64)((rt_u64)((rt_i64)(int)k + 1023) << 52);
    return (float)(((q * r) * r + r + 1) * power.real);
}

LIBRARY float m_pow_f32(float a, float b)
{
    float t = __builtin_fabsf(a);
    float result = m_pow_positive(t, b);
    int odd = __builtin_floorf(b * 0.5f) * 2.0f != b;
    float sign = a < 0 && odd ? -1.0f : 1.0f;
    result = t == 0 ? (b > 0 ? 0.0f : m_infinity) : result;
    result = t == m_infinity ? (b > 0 ? m_infinity : 0.0f) : result;
    result = t == 1.0f ? 1.0f : result;
    result = t != t || b != b ? t + b : result;
    result = a < 0 && __builtin_floorf(b) != b ? __builtin_nanf("") : result * sign;
    return b == 0 || a == 1.0f ? 1.0f : result;
}

/* f64: the values of tables and accumulators; libm where there is no instruction. */
LIBRARY double m_abs_f64(double a)
{
    return __builtin_fabs(a);
}
LIBRARY double m_exp_f64(double a)
{
    return __builtin_exp(a);
}
LIBRARY double m_log_f64(double a)
{
    return __builtin_log(a);
}
LIBRARY double m_sqrt_f64(double a)
{
    return __builtin_sqrt(a);
}
LIBRARY double m_rsqrt_f64(double a)
{
    return 1 / __builtin_sqrt(a);
}
LIBRARY double m_sin_f64(double a)
{
    return __builtin_sin(a);
}
LIBRARY double m_cos_f64(double a)
{
    return __builtin_cos(a);
}
LIBRARY double m_tanh_f64(double a)
{
    return __builtin_tanh(a);
}
LIBRARY double m_erf_f64(double a)
{
    return __builtin_erf(a);
}
LIBRARY double m_sigmoid_f64(double a)
{
    return 1 / (1 + __builtin_exp(-a));
}
LIBRARY double m_floor_f64(double a)
{
    return __builtin_floor(a);
}
LIBRARY double m_round_f64(double a)
{
    return __builtin_rint(a);
}
LIBRARY int m_isfinite_f64(double a)
{
    return a - a == 0;
}
LIBRARY double m_max_f64(double a, double b)
{
    return a > b ? a : b;
}
LIBRARY double m_min_f64(double a, double b)
{
    return a < b ? a : b;
}
LIBRARY double m_pow_f64(double a, double b)
{
    return __builtin_pow(a, b);
}
LIBRARY double m_mod_f64(double a, double b)
{
    return a - b * __builtin_floor(a / b);
}

/* Integers. The remainder has the sign of the divisor; by 0 it is 0. */
LIBRARY int m_abs_i32(int a)
{
    return a < 0 ? (int)(0 - (rt_u32)a) : a;
}
LIBRARY int m_max_i32(int a, int b)
{
    return a > b ? a : b;
}
LIBRARY int m_min_i32(int a, int b)
{
    return a < b ? a : b;
}
LIBRARY int m_floor_i32(int a)
{
    return a;
}
LIBRARY int m_round_i32(int a)
{
    return a;
}
LIBRARY rt_i64 m_mod_i64(rt_i64 a, rt_i64 b)
{
    rt_i64 by = b == 0 || b == -1 ? 1 : b, rest = a % by;
    return rest != 0 && (rest < 0) != (by < 0) ? rest + by : rest;
}
LIBRARY int m_mod_i32(int a, int b)
{
    return (int)m_mod_i64(a, b);
}
LIBRARY rt_i64 m_abs_i64(rt_i64 a)
{
    return a < 0 ? (rt_i64)(0 - (rt_u64)a) : a;
}
LIBRARY rt_i64 m_max_i64(rt_i64 a, rt_i64 b)
{
    return a > b ? a : b;
}
LIBRARY rt_i64 m_min_i64(rt_i64 a, rt_i64 b)
{
    return a < b ? a : b;
}
