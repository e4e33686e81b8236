/* Device libraries of all backends: random numbers; see math.h. The same bits as
 * runtime/philox.c. What stands in front also defines UNROLL, which stands before loops. */

/* Philox4x32-10 (Salmon et al. 2011), key (a, b), counter (c, d, site, 0): the upper 24 bits of
 * word 0 as a number in [0, 1). */
LIBRARY float m_philox(int a, int b, int c, int d, rt_u32 site)
{
    rt_u32 key0 = (rt_u32)a, key1 = (rt_u32)b;
    rt_u32 x0 = (rt_u32)c, x1 = (rt_u32)d, x2 = site, x3 = 0;
    UNROLL
    for (int round = 0; round < 10; round++) {
        rt_u64 product0 = (rt_u64)0xd2511f53u * x0, product1 = (rt_u64)0xcd9e8d57u * x2;
        x0 = (rt_u32)(product1 >> 32) ^ x1 ^ key0;
        x2 = (rt_u32)(product0 >> 32) ^ x3 ^ key1;
        x1 = (rt_u32)product1;
        x3 = (rt_u32)product0;
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
    return (float)(x0 >> 8) * 0x1p-24f;
}
